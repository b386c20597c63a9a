"""info, verify, tile, export, tms: what they print, write and return."""

import json
import os
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
import rasterio
import small_pyramid
from PIL import Image
from shared_data import shared

from fastpyr.cli.main import main
from fastpyr.pyramid import open_pyramid


def run(capsys, *args):
    """(exit code, stdout, stderr) of the command line, in this process."""
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return code, out, err


def assert_refused(result, *words):
    code, out, err = result
    assert code == 2, result
    assert out == ""
    assert err.startswith("fastpyr: error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err, (word, err)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pyramids SMALL (png, masks), JPEG, LZW (gray), DEM (zip float32), ALPHA (raw, two channels)."""
    folder = tmp_path_factory.mktemp("pyramids")
    small_pyramid.write(folder)
    small_pyramid.write(folder, name="JPEG", format="TIFF_JPG_UINT8", mask=False)
    small_pyramid.write(folder, name="LZW", format="TIFF_LZW_UINT8", channels=1)
    small_pyramid.write(folder, name="DEM", format="TIFF_ZIP_FLOAT32", channels=1)
    small_pyramid.write(folder, name="ALPHA", format="TIFF_RAW_UINT8", channels=2)
    small_pyramid.write(folder, name="BITS", format="TIFF_PKB_UINT8", channels=3)
    return folder


class TestInfo:
    def test_pyramid(self, capsys, folder):
        code, out, _ = run(capsys, "info", folder / "SMALL.json")
        assert code == 0
        for text in ("TIFF_PNG_UINT8", "PM (EPSG:3857, QTREE)", "bicubic", "2 x 2 tiles", "2073-2075", "1409-1411"):
            assert text in out

    def test_pyramid_json(self, capsys, folder):
        code, out, _ = run(capsys, "info", folder / "SMALL.json", "--json")
        facts = json.loads(out)
        assert code == 0
        assert facts["nodata"] == [255, 255, 255]
        assert facts["bytes"] == sum(f.stat().st_size for f in (folder / "SMALL").rglob("*.tif"))
        assert [level["level"] for level in facts["levels"]] == ["12", "11", "10"]
        assert facts["levels"][0]["limits"] == {"min_row": 1409, "max_row": 1411, "min_col": 2073, "max_col": 2075}

    def test_slab(self, capsys):
        slab = shared("rok4/golden/SCAN1000/DATA/10/00/75/61.tif")
        code, out, _ = run(capsys, "info", slab, "--json")
        facts = json.loads(out)
        assert code == 0
        assert (facts["width"], facts["channels"], facts["compression"], facts["tiles"]) == (512, 4, 8, 4)
        assert facts["index"][0] == {"column": 0, "row": 0, "offset": 2080, "size": 334}
        assert facts["problems"] == []
        code, out, _ = run(capsys, "info", slab, "--tiles")
        assert code == 0
        assert len(out.splitlines()) > 10

    def test_vector_slab(self, capsys):
        code, out, _ = run(capsys, "info", shared("rok4/fixtures/TIFF_PBF_MVT/DATA/4/00/00/21.tif"))
        assert code == 0
        assert "vector tiles" in out

    def test_cpu(self, capsys):
        code, out, _ = run(capsys, "info", "--cpu", "--json")
        assert code == 0
        assert "generic" in json.loads(out)["live"]
        assert "generic" in run(capsys, "info", "--cpu")[1]

    def test_refusals(self, capsys, folder, tmp_path):
        assert_refused(run(capsys, "info", shared("rok4/tool-inputs/cache2work/NOTASLAB.tif")), "NOTASLAB.tif")
        (tmp_path / "empty.tif").write_bytes(b"")
        assert_refused(run(capsys, "info", tmp_path / "empty.tif"), "empty")
        assert_refused(run(capsys, "info", tmp_path / "none.json"), "none.json")
        code, _, err = run(capsys, "info")
        assert code == 2
        assert "--cpu" in err
        assert run(capsys, "info", folder / "SMALL.json", "--cpu")[0] == 2


class TestVerify:
    @pytest.mark.parametrize("name", ["SMALL", "JPEG", "LZW", "DEM", "ALPHA", "BITS"])
    def test_good(self, capsys, folder, name):
        code, out, _ = run(capsys, "verify", folder / f"{name}.json", "--all")
        assert code == 0, out
        assert "every check holds" in out

    def test_json(self, capsys, folder):
        code, out, _ = run(capsys, "verify", folder / "SMALL.json", "--json")
        assert code == 0
        assert json.loads(out)["ok"] is True

    def test_damage_is_exit_1(self, capsys, tmp_path):
        descriptor = small_pyramid.copy(shared("rok4/golden/RGEALTI.json"), tmp_path / "copy")
        slab = next((tmp_path / "copy/RGEALTI/DATA/8").rglob("*.tif"))
        data = bytearray(slab.read_bytes())
        data[2050] ^= 4
        slab.write_bytes(data)
        code, out, _ = run(capsys, "verify", descriptor)
        assert code == 1
        assert str(slab) in out
        assert "error: index: level 8, slab 1121,111" in out
        code, out, _ = run(capsys, "verify", descriptor, "--json")
        assert code == 1
        assert json.loads(out)["ok"] is False

    def test_gamma_of_another_build_is_exit_1(self, capsys, folder):
        code, out, _ = run(capsys, "verify", folder / "SMALL.json", "--gamma", "1.8")
        assert code == 1
        assert "failed   upper-level" in out

    def test_refusals(self, capsys, folder, tmp_path):
        assert_refused(run(capsys, "verify", tmp_path / "NONE.json"), "NONE.json", "does not exist")
        assert_refused(run(capsys, "verify", folder / "SMALL.json", "--gamma", "0"), "gamma")
        (tmp_path / "BAD.json").write_text("{")
        assert_refused(run(capsys, "verify", tmp_path / "BAD.json"), "BAD", "JSON")


class TestTile:
    def tile(self, capsys, folder, name, out):
        code, said, _ = run(capsys, "tile", folder / f"{name}.json", "12", 2074, 1410, "-o", out)
        assert code == 0
        assert str(out) in said
        return said, open_pyramid(folder / f"{name}.json").tile("12", 2074, 1410)

    def test_png_and_jpeg_as_stored(self, capsys, folder, tmp_path):
        said, pixels = self.tile(capsys, folder, "SMALL", tmp_path / "t.png")
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "t.png")), pixels)
        assert "as stored" in said
        self.tile(capsys, folder, "JPEG", tmp_path / "t.jpg")
        stored = open_pyramid(folder / "JPEG.json").tile_bytes("12", 2074, 1410)
        assert (tmp_path / "t.jpg").read_bytes() == stored

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    @pytest.mark.parametrize("name", ["LZW", "DEM", "ALPHA", "BITS", "SMALL", "JPEG"])
    def test_tiff_opens_everywhere(self, capsys, folder, tmp_path, name):
        said, pixels = self.tile(capsys, folder, name, tmp_path / "t.tif")
        with rasterio.open(tmp_path / "t.tif") as file:
            np.testing.assert_array_equal(np.moveaxis(file.read(), 0, 2), pixels)
        import tifffile

        np.testing.assert_array_equal(tifffile.imread(tmp_path / "t.tif").reshape(pixels.shape), pixels)
        assert ("converted" in said) == (name in ("SMALL", "JPEG"))

    @pytest.mark.parametrize("name", ["LZW", "ALPHA", "BITS", "JPEG"])
    def test_png_on_demand(self, capsys, folder, tmp_path, name):
        said, pixels = self.tile(capsys, folder, name, tmp_path / "t.png")
        shown = np.asarray(Image.open(tmp_path / "t.png"))
        np.testing.assert_array_equal(shown.reshape(pixels.shape), pixels)
        assert "converted" in said

    def test_refusals(self, capsys, folder, tmp_path):
        out = tmp_path / "t.png"
        result = run(capsys, "tile", folder / "SMALL.json", "12", 1, 1410, "-o", out)
        assert_refused(result, "column 1, row 1410", "columns 2073 to 2075, rows 1409 to 1411")
        assert_refused(run(capsys, "tile", folder / "SMALL.json", "13", 1, 1, "-o", out), "12, 11, 10")
        assert_refused(run(capsys, "tile", folder / "DEM.json", "12", 2074, 1410, "-o", out), "float32", ".tif")
        jpg = tmp_path / "t.jpg"
        assert_refused(run(capsys, "tile", folder / "SMALL.json", "12", 2074, 1410, "-o", jpg), ".png")
        nowhere = tmp_path / "file" / "t.png"
        (tmp_path / "file").write_text("")
        assert_refused(run(capsys, "tile", folder / "SMALL.json", "12", 2074, 1410, "-o", nowhere), "t.png")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


class TestExport:
    def test_level_and_box(self, capsys, folder, tmp_path):
        out = tmp_path / "level.tif"
        code, said, _ = run(capsys, "export", folder / "SMALL.json", "11", out)
        assert code == 0
        assert "EPSG:3857" in said
        bounds = open_pyramid(folder / "SMALL.json").level("11").bounds
        with rasterio.open(out) as file:
            np.testing.assert_allclose(file.bounds, bounds)
        middle = (bounds.left + bounds.right) / 2
        box = f"{bounds.left},{bounds.bottom},{middle},{bounds.top}"
        assert run(capsys, "export", folder / "SMALL.json", "11", out, "--bbox", box)[0] == 0
        with rasterio.open(out) as file:
            assert (file.width, file.height) == (256, 512)
        # A negative number first is a value, not an option; outside the limits all is nodata.
        assert run(capsys, "export", folder / "SMALL.json", "11", out, "--bbox", "-1000000,-2000,-999000,-1000")[0] == 0
        with rasterio.open(out) as file:
            assert not file.dataset_mask().any()

    @pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "1,2,1,4", "1,5,2,4", "nan,0,1,1", "1,2,inf,4"])
    def test_bad_box(self, capsys, folder, tmp_path, box):
        code, _, err = run(capsys, "export", folder / "SMALL.json", "11", tmp_path / "x.tif", "--bbox", box)
        assert code == 2
        assert "--bbox" in err
        assert not list(tmp_path.iterdir())

    def test_refusals(self, capsys, folder, tmp_path):
        assert_refused(run(capsys, "export", folder / "SMALL.json", "99", tmp_path / "x.tif"), "no level '99'")
        assert_refused(run(capsys, "export", folder / "SMALL.json", "11", tmp_path / "no/x.tif"), "does not exist")


class TestTms:
    def test_list(self, capsys):
        code, out, _ = run(capsys, "tms")
        assert code == 0
        assert len(out.splitlines()) >= 72
        assert any(line.startswith("PM ") and "EPSG:3857" in line and "QTREE" in line for line in out.splitlines())
        names = [one["name"] for one in json.loads(run(capsys, "tms", "--json")[1])]
        assert "LAMB93_1M_MNT" in names

    def test_one(self, capsys, tmp_path):
        code, out, _ = run(capsys, "tms", "LAMB93_1M_MNT")
        assert code == 0
        assert "NNGRAPH" in out
        code, out, _ = run(capsys, "tms", "PM", "--json")
        path = tmp_path / "MINE.json"
        path.write_text(out)
        again = run(capsys, "tms", path)
        assert again[0] == 0
        assert "MINE" in again[1]

    def test_unknown(self, capsys):
        assert_refused(run(capsys, "tms", "NOPE"), "NOPE")


class TestMain:
    def test_help_imports_no_verb(self):
        code = "import sys; from fastpyr.cli.main import main; main(['--help']); print(sorted(sys.modules))"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for verb in ("build", "plan", "info", "verify", "tile", "export", "tms", "demo"):
            assert f"  {verb} " in out
        for heavy in ("numpy", "rasterio", "pyproj", "numba", "rich", "imagecodecs", "fastpyr.cli.info"):
            assert f"'{heavy}'" not in out

    @pytest.mark.parametrize("verb", ["build", "plan", "info", "verify", "tile", "export", "tms", "demo"])
    def test_every_verb_has_an_example(self, capsys, verb):
        code, out, _ = run(capsys, verb, "--help")
        assert code == 0
        assert f"  fastpyr {verb} " in out

    def test_version_and_usage(self, capsys):
        assert run(capsys, "--version")[:2] == (0, "fastpyr, version 0.1.0\n")
        assert run(capsys, "nonsense")[0] == 2
        assert run(capsys, "verify")[0] == 2
        assert run(capsys, "verify", "--bogus", "x")[0] == 2

    @pytest.mark.parametrize(
        ("error", "code", "line"),
        [
            (KeyboardInterrupt(), 130, "fastpyr: interrupted"),
            (OSError(28, "No space left on device", "out/x"), 2, "fastpyr: error: No space left on device: out/x"),
            (MemoryError("17 GB"), 2, "fastpyr: error: not enough memory: 17 GB"),
        ],
        ids=["interrupt", "os error", "memory"],
    )
    def test_errors_are_one_line(self, capsys, monkeypatch, error, code, line):
        def fail(*args, **options):
            raise error

        monkeypatch.setattr("fastpyr.cli.tms.load_tms", fail)
        assert run(capsys, "tms", "PM") == (code, "", line + "\n")

    def test_closed_pipe_is_quiet(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.Popen([sys.executable, "-m", "fastpyr", "tms"], stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        _, err = process.communicate(timeout=60)
        assert err == b""
        assert process.returncode == 141

    def test_tile_to_stdout(self, folder):
        args = [sys.executable, "-m", "fastpyr", "tile", str(folder / "JPEG.json"), "12", "2074", "1410", "-o", "-"]
        done = subprocess.run(args, capture_output=True, check=True)
        assert Image.open(BytesIO(done.stdout)).size == (256, 256)
        assert b"as stored" in done.stderr
