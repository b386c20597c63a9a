"""What is merged: areas, levels, commands and configurations, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import tree
from stored_pyramids import build_small, contents
from tile_pyramids import TINY, halves, tiny_format, write_tiny

import fastpyr
from fastpyr.cli.main import main
from fastpyr.errors import ConfigError, FastpyrError, StoreError
from fastpyr.formats import SlabKind
from fastpyr.pyramid import Pyramid, open_pyramid
from fastpyr.pyramid.slabs import SlabRef
from fastpyr.updates import MergeGroup, merge_pyramids
from fastpyr.updates.region import Region, read_region

OPTIONS: dict[str, Any] = {"method": "top", "tms": TINY}


class TestAreas:
    def merged(self, sources: list[Any], **options: Any) -> Pyramid:
        merge_pyramids(sources, "mem://areas/M.json", overwrite=True, **{**OPTIONS, **options})
        return open_pyramid("mem://areas/M.json", TINY)

    def slabs(self, pyramid: Pyramid, level: str) -> set[tuple[int, int]]:
        return {(ref.col, ref.row) for ref in pyramid.slabs() if ref.level == level and ref.kind is SlabKind.DATA}

    def test_slabs_that_meet_a_box_are_taken_whole(self) -> None:
        uris = halves("mem://areas")
        pyramid = self.merged(uris, area=(33, 65, 64, 97), bottom="1", top="1")
        assert self.slabs(pyramid, "1") == {(1, 0), (1, 1)}
        assert pyramid.levels[0].limits == (0, 3, 2, 3)
        assert [level.id for level in pyramid.levels] == ["1"]
        assert self.slabs(self.merged(uris, area=(32, 64, 64, 96)), "1") == {(1, 1)}  # edges that touch do not count

    def test_polygons(self, tmp_path: Path) -> None:
        """A triangle with a hole in which slab (1, 2) is, as WKT, GeoJSON and GML."""
        outer, hole = [(1, 1), (134, 1), (1, 134), (1, 1)], [(31, 31), (65, 31), (65, 65), (31, 65), (31, 31)]
        body = ", ".join("(" + ", ".join(f"{x} {y} 0" for x, y in ring) + ")" for ring in (outer, hole))
        texts = {
            "wkt": f"POLYGON Z ({body})",
            "multi": f"MULTIPOLYGON(({body}), ((1 1, 2 1, 2 2, 1 1)))",
            "geojson": json.dumps(
                {"type": "FeatureCollection", "features": [
                    {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [outer, hole]}},
                ]}
            ),
            "gml": "<g:Polygon xmlns:g='g'>"
            + "".join(
                f"<g:{kind}><g:LinearRing><g:posList>{' '.join(f'{x} {y}' for x, y in ring)}</g:posList>"
                f"</g:LinearRing></g:{kind}>"
                for kind, ring in (("exterior", outer), ("interior", hole))
            )
            + "</g:Polygon>",
        }  # fmt: skip
        uris = halves("mem://areas")
        expected = {(col, row) for col in range(4) for row in range(4) if col - row <= 1} - {(1, 2)}
        for name, text in texts.items():
            path = tmp_path / name
            path.write_text(text)
            assert self.slabs(self.merged(uris, area=path, bottom="1", top="1"), "1") == expected, name

    @pytest.mark.parametrize(
        "text",
        ["", "POINT(1 2)", "POLYGON((1 2, 3 4))", "POLYGON((1 2, 3 x, 5 6))", "{", '{"type": "Point"}', "[1]",
         '{"type": "Polygon", "coordinates": [[[1, 2], [3, "x"], [1, 1]]]}', "<a>", "<a/>", "POLYGON((1 1,1 nan,2 2))",
         "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "<LinearRing/>"],
    )  # fmt: skip
    def test_what_is_no_area(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "area").write_text(text)
        with pytest.raises(ConfigError, match="is no area"):
            read_region(tmp_path / "area")

    def test_groups_have_levels_and_areas_of_their_own(self) -> None:
        a, b = halves("mem://areas")
        left = Region(fastpyr.BoundingBox(0, 0, 31, 128))
        pyramid = self.merged([MergeGroup((a,), "1", "1", left), MergeGroup((b, a), "0", "0")])
        assert self.slabs(pyramid, "1") == {(0, row) for row in range(4)}
        assert self.slabs(pyramid, "0") == {(col, row) for col in range(2) for row in range(2)}
        np.testing.assert_array_equal(np.unique(pyramid.read("1")[0]), [40])

    def test_a_random_polygon_meets_what_sampling_says(self) -> None:
        rng = np.random.default_rng(5)
        for _ in range(40):
            angle = np.sort(rng.uniform(0, 2 * np.pi, 7))
            radius = rng.uniform(10, 60, 7)
            ring = np.stack([64 + radius * np.cos(angle), 64 + radius * np.sin(angle)], axis=1)
            region = Region.of_polygons([[ring]])
            left, bottom = rng.uniform(0, 110, 2)
            width, height = rng.uniform(1, 40, 2)
            xs, ys = np.meshgrid(
                left + width * (np.arange(300) + 0.5) / 300, bottom + height * (np.arange(300) + 0.5) / 300
            )
            inside = np.zeros(xs.shape, bool)
            for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                inside ^= ((y0 > ys) != (y1 > ys)) & (xs < x0 + (ys - y0) / (y1 - y0) * (x1 - x0))
            met = region.meets(fastpyr.BoundingBox(left, bottom, left + width, bottom + height))
            assert met or not inside.any()
            assert not met or inside.any() or inside.mean() < 1e-3


class TestRefusals:
    """One line that says what is wrong, before anything is written."""

    @pytest.mark.parametrize(
        ("second", "message"),
        [
            ({"format": "TIFF_ZIP_FLOAT32", "channels": 1}, "their samples are UINT8 and FLOAT32"),
            ({"slab": (4, 2)}, "at level 0 their slabs are 2x2 and 4x2 tiles"),
        ],
    )
    def test_what_does_not_fit(self, tmp_path: Path, second: dict[str, Any], message: str) -> None:
        for name in "XY":
            (tmp_path / name).mkdir()
        uris = [halves(str(tmp_path / "X"))[0], halves(str(tmp_path / "Y"), **second)[1]]
        with pytest.raises(ConfigError, match=message):
            merge_pyramids(uris, tmp_path / "M.json", **OPTIONS)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["X", "Y"]

    def test_another_grid(self, tmp_path: Path) -> None:
        uris = halves(str(tmp_path))
        path = Path(uris[1])
        path.write_text(path.read_text().replace("TINY", "PM"))
        with pytest.raises(ConfigError, match="their tile matrix sets are TINY and PM"):
            merge_pyramids(uris, tmp_path / "M.json", **OPTIONS)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "mask"}, "method 'mask' is unknown"),
            ({"mode": "move"}, "mode 'move' is unknown"),
            ({"compression": "gif"}, "compression 'gif' is unknown"),
            ({"compression": "jpg", "channels": 4}, "stores exactly 3 channels"),
            ({"sample": "FLOAT32"}, "samples, which are not converted"),
            ({"nodata": [1, 2]}, "nodata has 2 value"),
            ({"transparent": "255,255,255"}, "goes with method alphatop"),
            ({"transparent": "red", "method": "alphatop"}, "is not R,G,B"),
            ({"bottom": "0", "top": "1"}, "exchange them"),
            ({"bottom": "7"}, "has no level '7'"),
            ({"area": (500, 500, 600, 600)}, "nothing to merge"),
            ({"area": (5, 5, 5, 6)}, "is empty or not finite"),
            ({"area": (5, 5)}, "is not left, bottom, right, top"),
            ({"path_depth": 33}, "path depth 33"),
            ({"mode": "slink", "path_depth": 1}, "--mode copy"),
        ],
    )
    def test_options(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        uris = halves(str(tmp_path))
        before = tree(tmp_path)
        with pytest.raises(FastpyrError, match=message):
            merge_pyramids(uris, tmp_path / "M.json", **{**OPTIONS, **options})
        assert tree(tmp_path) == before

    def test_places(self, tmp_path: Path) -> None:
        uris = halves(str(tmp_path))
        with pytest.raises(ConfigError, match="is one of the pyramids to merge"):
            merge_pyramids(uris, uris[1], overwrite=True, **OPTIONS)
        with pytest.raises(StoreError, match=r"C\.json"):
            merge_pyramids([*uris, tmp_path / "C.json"], tmp_path / "M.json", **OPTIONS)
        with pytest.raises(ConfigError, match="at least one"):
            merge_pyramids([], tmp_path / "M.json", **OPTIONS)
        merge_pyramids(uris, tmp_path / "M.json", **OPTIONS)
        with pytest.raises(ConfigError, match="exists"):
            merge_pyramids(uris, tmp_path / "M.json", **OPTIONS)
        merge_pyramids([tmp_path / "M.json"], tmp_path / "N.json", **OPTIONS)
        with pytest.raises(ConfigError, match=r"cannot be replaced, .*N.list needs it"):
            merge_pyramids(uris, tmp_path / "M.json", overwrite=True, **OPTIONS)

    def test_a_level_that_a_pyramid_lacks(self) -> None:
        a, b = halves("mem://lacking")
        write_tiny(b, tiny_format("TIFF_PNG_UINT8", 3), {"1": (np.ones((128, 128, 3)), np.ones((128, 128)))})
        with pytest.raises(ConfigError, match=r"B.json has no level 0, of 1 to 0"):
            merge_pyramids([a, b], "mem://lacking/M.json", bottom="1", top="0", **OPTIONS)
        merge_pyramids([a, b], "mem://lacking/M.json", **OPTIONS)
        assert [level.id for level in open_pyramid("mem://lacking/M.json", TINY).levels] == ["1", "0"]

    def test_a_missing_slab(self, tmp_path: Path) -> None:
        for number, mode in enumerate(("slink", "copy")):
            uris = halves(str(tmp_path))
            pyramid = open_pyramid(uris[0], TINY)
            ref = SlabRef(SlabKind.DATA, "1", 0 if number else 1, 0)
            Path(pyramid.store.location(pyramid.slab_key(ref))).unlink()
            with pytest.raises(
                StoreError, match=rf"level 1, slab column {ref.col}, row 0 .*is listed, but it does not"
            ):
                merge_pyramids(uris, tmp_path / f"M{number}.json", mode=mode, **OPTIONS)
            assert not (tmp_path / f"M{number}.json").exists()

    def test_a_damaged_tile(self, tmp_path: Path) -> None:
        uris = halves(str(tmp_path))
        pyramid = open_pyramid(uris[1], TINY)
        path = Path(pyramid.store.location(pyramid.slab_key(SlabRef(SlabKind.DATA, "1", 1, 0))))
        data = bytearray(path.read_bytes())
        slab = pyramid.slab_data(SlabRef(SlabKind.DATA, "1", 1, 0))
        assert slab is not None
        offset, _ = slab[1].tile_range(3)
        data[offset + 60] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(FastpyrError, match=r"level 1, tile column 3, row 1 of .*B/DATA/1/.*PNG"):
            merge_pyramids(uris, tmp_path / "M.json", **OPTIONS)


class TestCommand:
    @pytest.fixture
    def built(self, tmp_path: Path) -> list[str]:
        for number, name in enumerate("AB"):
            build_small(tmp_path / f"{name}.json", seed=number + 1)
        return [str(tmp_path / f"{name}.json") for name in "AB"]

    def test_merge(self, built: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = str(tmp_path / "M.json")
        assert main(["merge", *built, target, "--method", "top", "--json", "--bottom", "18", "--top", "17"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["composed"] == len(contents(target))
        assert main(["merge", *built, target, "--method", "REPLACE", "--overwrite", "--nodata", "0"]) == 0
        said = capsys.readouterr()
        assert "linked" in said.out
        assert "has nodata 255,255,255, the result 0,0,0" in said.err
        assert contents(target) == contents(built[0])

    @pytest.mark.parametrize(
        "args",
        [[], ["A.json"], ["A.json", "M.json"], ["A.json", "M.json", "--method", "x"],
         ["A.json", "M.json", "--method", "top", "--nodata", "x"],
         ["A.json", "M.json", "--method", "top", "--bbox", "1,1,2,2", "--area", "x"],
         ["A.json", "M.json", "--method", "top", "--area", "absent"], ["--config", "absent.json"]],
    )  # fmt: skip
    def test_mistakes(
        self, args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        build_small("A.json")
        assert main(["merge", *args]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not (tmp_path / "M.json").exists()

    def document(self, built: list[str], folder: Path) -> dict[str, Any]:
        area = {"bbox": [-20037508, -20037508, 20037508, 20037508]}
        source = {"type": "PYRAMIDS", "descriptors": built, "area": area}
        return {
            "logger": {"level": "INFO"},
            "datasources": [{"bottom": "18", "top": "16", "source": source}],
            "pyramid": {
                "name": "M",
                "storage": {"root": str(folder)},
                "compression": "png",
                "nodata": [255, 255, 255],
                "pixel": {"sampleformat": "UINT8", "samplesperpixel": 3},
                "mask": True,
            },
            "process": {
                "directories": {"scripts": "s", "local_tmp": "l", "shared_tmp": "t"},
                "parallelization": 2,
                "merge_method": "ALPHATOP",
                "new": 1,
            },
        }

    def test_joincache(self, built: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        conf = tmp_path / "join.json"
        document = self.document(built, tmp_path)
        conf.write_text(json.dumps(document))
        assert main(["merge", "--config", str(conf)]) == 0
        assert "unknown key process.new is ignored" in capsys.readouterr().err
        merged = fastpyr.open(str(tmp_path / "M.json"))
        assert [level.id for level in merged.levels] == ["18", "17", "16"]
        assert merged.has_masks
        assert main(["merge", "--config", str(conf), str(tmp_path / "N.json"), "--method", "replace"]) == 0
        assert all(p.is_symlink() for p in (tmp_path / "N").rglob("*.tif"))

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("datasources", [], "datasources: expected a list"),
            ("datasources", [3], "datasources[0]: expected an object"),
            ("datasources.0.source.type", "WMS", "WMS is not handled"),
            ("datasources.0.source.descriptors", [], "expected a list of at least one descriptor"),
            ("datasources.0.source.area", {"bbox": [1, 2]}, "area.bbox: expected"),
            ("datasources.0.source.area", {"geometry": "absent.wkt"}, "absent.wkt: cannot be read"),
            ("datasources.0.top", "3", "has no level 14"),
            ("pyramid.nodata", ["x"], "pyramid.nodata: expected"),
            ("pyramid.mask", 1, "pyramid.mask: expected true or false"),
            ("pyramid.pixel.sampleformat", "INT16", "expected UINT8 or FLOAT32"),
            ("pyramid.pixel.sampleformat", "FLOAT32", "which are not converted to FLOAT32"),
            ("pyramid.storage", {"root": "x", "type": "TAPE"}, "pyramid.storage.type"),
            ("process.merge_method", "MASK", "method 'MASK' is unknown"),
            ("process.parallelization", 0, "expected an integer of 1 or more"),
        ],
    )
    def test_joincache_mistakes(
        self, built: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, value: Any, message: str
    ) -> None:
        document: Any = self.document(built, tmp_path)
        *parents, last = path.split(".")
        section = document
        for name in parents:
            section = section[int(name) if name.isdigit() else name]
        section[last] = value
        (tmp_path / "join.json").write_text(json.dumps(document))
        assert main(["merge", "--config", str(tmp_path / "join.json")]) == 2
        said = capsys.readouterr().err.splitlines()
        assert message in said[-1]
        assert not (tmp_path / "M.json").exists()
