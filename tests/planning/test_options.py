"""Options as words, numbers and configurations."""

import json

import pytest

from fastpyr.errors import ConfigError
from fastpyr.formats import Compression, Interpolation, SampleType
from fastpyr.planning import BuildOptions, read_be4


def test_defaults_are_the_platforms():
    options = BuildOptions()
    assert (options.width, options.height, options.mask) == (16, 16, False)
    assert options.interpolation is Interpolation.BICUBIC
    assert options.workers >= 1


def test_words_are_understood():
    options = BuildOptions.parse(
        tms="PM",
        bottom=18,
        top="<AUTO>",
        width="8",
        compression="JPG90",
        interpolation="nn",
        parallelization="3",
        mask="true",
        overwrite="False",
        nodata="1,2,3",
        channels="3",
        sample_format="UINT8",
        gamma="1.5",
        height=None,
    )
    assert options == BuildOptions(
        tms="PM",
        bottom="18",
        width=8,
        compression=Compression.JPG90,
        interpolation=Interpolation.NN,
        parallelization=3,
        mask=True,
        nodata=(1, 2, 3),
        channels=3,
        sample=SampleType.UINT8,
        gamma=1.5,
    )


def test_merged_keeps_what_is_not_given():
    options = BuildOptions.parse(tms="PM", mask=True, width=4)
    assert options.merged(width=8, mask=None) == BuildOptions.parse(tms="PM", mask=True, width=8)


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("compression", "webp", "compression"),
        ("interpolation", "cubicspline", "interpolation"),
        ("mask", "maybe", "mask"),
        ("width", 0, "width"),
        ("width", "two", "width"),
        ("height", 257, "height"),
        ("parallelization", 0, "parallelization"),
        ("channels", 5, "channels"),
        ("gamma", 0, "gamma"),
        ("gamma", "nan", "gamma"),
        ("nodata", "1.5", "nodata"),
        ("nodata", "a,b", "nodata"),
        ("nodata", "inf", "nodata"),
        ("sample_format", "uint16", "sample format"),
        ("colour", "red", "colour"),
    ],
)
def test_bad_values_name_the_option(key, value, names):
    with pytest.raises(ConfigError, match=names):
        BuildOptions.parse(**{key: value})


def conf(**changes):
    document = {
        "datasources": [
            {"top": "0", "bottom": "<AUTO>", "source": {"type": "IMAGES", "directory": "/d", "srs": "IGNF:LAMB93"}}
        ],
        "pyramid": {
            "type": "GENERATION",
            "name": "X",
            "tms": "PM.json",
            "storage": {"type": "FILE", "root": "/out"},
            "nodata": [0, 0, 0, 0],
            "pixel": {"samplesperpixel": 4, "sampleformat": "UINT8"},
            "compression": "png",
            "interpolation": "bicubic",
            "slab_size": [2, 3],
        },
        "process": {"directories": {"scripts": "/s"}, "parallelization": 1},
    }
    for path, value in changes.items():
        holder = document
        *parents, last = path.split("__")
        for part in parents:
            holder = holder[int(part) if part.isdigit() else part]
        holder[last] = value
    return document


def written(tmp_path, document):
    path = tmp_path / "conf.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_be4_configuration_is_read(tmp_path):
    found = read_be4(written(tmp_path, conf()))
    assert found.descriptor == "/out/X.json"
    assert found.warnings == ()
    (group,) = found.groups
    assert (group.directory, group.srs, group.bottom, group.top) == ("/d", "IGNF:LAMB93", None, "0")
    assert found.options == BuildOptions.parse(
        tms="PM.json", width=2, height=3, compression="png", channels=4, sample_format="uint8", nodata="0,0,0,0",
        parallelization=1, interpolation="bicubic",
    )  # fmt: skip


@pytest.mark.parametrize("storage", ["S3", "SWIFT", "CEPH"])
def test_be4_object_storage(tmp_path, storage):
    found = read_be4(written(tmp_path, conf(pyramid__storage={"type": storage, "root": "tray@host"})))
    assert found.descriptor == f"{storage.lower()}://tray@host/X.json"


def test_be4_default_compression_is_raw(tmp_path):
    document = conf()
    del document["pyramid"]["compression"]
    assert read_be4(written(tmp_path, document)).options.compression is Compression.RAW


@pytest.mark.parametrize(
    ("pyramid", "expected"),
    [
        ({"pyramid_to_update": "/a/O.json"}, ("/a/X.json", "slink")),
        ({"pyramid_to_update": "/a/O.json", "root": "/b/", "update_mode": "copy"}, ("/b/X.json", "copy")),
        ({"pyramid_to_update": "s3://one/O.json", "root": "two"}, ("s3://two/X.json", "slink")),
        ({"pyramid_to_update": "s3://one/in/O.json"}, ("s3://one/in/X.json", "slink")),
    ],
)
def test_be4_update_configuration_is_read(tmp_path, pyramid, expected):
    found = read_be4(written(tmp_path, conf(pyramid={"type": "UPDATE", "name": "X", **pyramid})))
    assert (found.kind, found.base) == ("UPDATE", pyramid["pyramid_to_update"])
    assert (found.descriptor, found.mode) == expected
    assert found.warnings == ()
    assert found.options == BuildOptions(parallelization=1)


def test_be4_injection_configuration_is_read(tmp_path):
    pyramid = {"type": "INJECTION", "pyramid_to_inject": "/a/O.json", "tms": "PM"}
    found = read_be4(written(tmp_path, conf(pyramid=pyramid)))
    assert (found.kind, found.descriptor, found.base) == ("INJECTION", "/a/O.json", None)
    assert [line.split(": ")[1] for line in found.warnings] == ["unknown key pyramid.tms is ignored"]


def test_be4_unknown_keys_warn(tmp_path):
    found = read_be4(written(tmp_path, conf(pyramid__colour="red", extra=1, datasources__0__source__x=2)))
    assert [line.split(": ")[1] for line in found.warnings] == [
        "unknown key extra is ignored",
        "unknown key pyramid.colour is ignored",
        "unknown key datasources[0].source.x is ignored",
    ]


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        (conf(pyramid__type="HARVEST"), "pyramid.type"),
        (conf(pyramid={"type": "UPDATE", "name": "X"}), "pyramid.pyramid_to_update"),
        (conf(pyramid={"type": "UPDATE", "name": 3, "pyramid_to_update": "/a/O.json"}), "pyramid.name"),
        (conf(pyramid={"type": "INJECTION"}), "pyramid.pyramid_to_inject"),
        (conf(pyramid__storage={"type": "TAPE", "root": "b"}), "pyramid.storage.type"),
        (conf(pyramid__storage=3), "pyramid.storage"),
        (conf(pyramid__name=7), "pyramid.name"),
        (conf(pyramid__slab_size=[1]), "slab_size"),
        (conf(pyramid__slab_size=["a", 2]), "width"),
        (conf(pyramid__nodata=3), "nodata"),
        (conf(datasources=[]), "datasources"),
        (conf(datasources=[3]), r"datasources\[0\]"),
        (conf(datasources__0__source={"type": "WMS"}), "WMS"),
        (conf(datasources__0__bottom=[1]), "bottom"),
        (conf(process__style="pente.json"), "style"),
        (conf(process__mask="perhaps"), "process.mask"),
    ],
)
def test_be4_errors_name_file_and_key(tmp_path, document, names):
    path = written(tmp_path, document)
    with pytest.raises(ConfigError, match=names) as caught:
        read_be4(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
