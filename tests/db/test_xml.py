"""The XML description against the sample that geodatabases' manuals print, and as an input that is not trusted."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED

from fastpyr.db.pixels import Compression, PixelType
from fastpyr.db.pyramid_kernels import Method
from fastpyr.db.xml_element import BandElement, FieldElement, RasterElement, SpatialReference, from_xml, to_xml
from fastpyr.errors import ConfigError, DecodeError
from fastpyr.grid.bounds import BoundingBox

SAMPLE = SHARED.parent / "mission" / "004_3461a3a891bdba74.txt"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
WKT = (
    'GEOGCS["GCS_WGS_1984", DATUM["D_WGS_1984", SPHEROID["WGS_1984",6378137.0,298.257223563]], '
    'PRIMEM["Greenwich",0.0], UNIT["Degree",0.0174532925199433]]'
)
EXTENT = BoundingBox(-179.906382261841, -90.1303147686327, 180.542309944643, 90.089680376681)
BAND = BandElement("Band_1", 2048, 1024, PixelType.U8, EXTENT, SpatialReference.of(WKT))
WORLD = RasterElement("gdb.RJP.world_TIF", (BAND,))


def tree_of(data):
    return ElementTree.fromstring(data)


def test_the_sample_element_by_element() -> None:
    """The sample ends before it closes its Children: what is there must come out, in the same order."""
    if not SAMPLE.exists():
        pytest.skip("reference text not here: ../shared/mission")
    text = SAMPLE.read_text("utf-8")
    text = text[text.index('<DataElement xsi:type="esri:DERasterDataset">') :]
    text = text[: text.rindex("</DataElement>") + len("</DataElement>")] + "</Children></DataElement>"
    names = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:esri="x" '
    wanted = list(tree_of(text.replace("<DataElement ", f"<DataElement {names}", 1)).iter())
    found = list(tree_of(to_xml(WORLD)).iter())[: len(wanted)]
    assert len(wanted) == 67
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours.tag, ours.get(XSI)) == (theirs.tag, theirs.get(XSI))
        assert (ours.text or "").strip() == (theirs.text or "").strip(), ours.tag


def test_the_sample_as_it_is_printed_can_be_read() -> None:
    """Its prefixes are not declared, and the dataset's own facts are missing."""
    if not SAMPLE.exists():
        pytest.skip("reference text not here: ../shared/mission")
    text = SAMPLE.read_text("utf-8")
    text = text[text.index('<DataElement xsi:type="esri:DERasterDataset">') :]
    text = text[: text.rindex("</DataElement>") + len("</DataElement>")] + "</Children></DataElement>"
    read = from_xml(text.encode())
    scale = replace(BAND.spatial_reference, xy_scale=11258999068426.2)
    assert read == replace(WORLD, bands=(replace(BAND, spatial_reference=scale),))


def test_what_follows_the_bands() -> None:
    root = tree_of(to_xml(replace(WORLD, pyramid_level=4, compression=Compression.JP2, bands=(BAND,) * 3)))
    assert [child.tag for child in root] == [
        "CatalogPath", "Name", "Children", "DatasetType", "DSID", "Versioned", "CanVersion", "Extent",
        "SpatialReference", "BandCount", "CompressionType", "Format", "Permanent", "SensorType", "StorageDef",
    ]  # fmt: skip
    assert [root.findtext(name) for name in ("BandCount", "CompressionType", "Format")] == ["3", "JPEG2000", "SDR"]
    storage = root.find("StorageDef")
    assert [child.tag for child in storage] == [
        "CellSizeX", "CellSizeY", "CompressionQuality", "CompressionType", "Origin", "PyramidLevel",
        "PyramidResampleType", "Tiled", "TileHeight", "TileWidth",
    ]  # fmt: skip
    assert storage.findtext("CellSizeX") == "0.176000337991447"
    assert (storage.findtext("Origin/X"), storage.findtext("Origin/Y")) == ("-179.906382261841", "90.089680376681")


def test_constants_of_geographic_systems() -> None:
    reference = BAND.spatial_reference
    assert reference.xy_scale == 2**53 / 800
    assert math.isclose(reference.xy_tolerance, 0.001 / 111319.49, rel_tol=1e-8)
    projected = SpatialReference.of('PROJCS["RGF93_Lambert_93"]')
    assert (projected.kind, projected.left_longitude, projected.x_origin) == ("Projected", None, -450359962737.0496)
    assert SpatialReference.of("").kind == "Unknown"
    assert SpatialReference.of('GEOGCRS["x"]').kind == "Geographic"


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff"), min_size=1)
numbers = st.floats(-1e9, 1e9).map(lambda value: float(f"{value:.15G}"))


@settings(max_examples=50)
@given(
    texts.map(str.strip).filter(bool),
    st.lists(st.tuples(st.sampled_from(list(PixelType)), st.one_of(st.none(), numbers)), min_size=1, max_size=3),
    st.sampled_from(list(Compression)),
    st.sampled_from(list(Method)),
    numbers,
    st.integers(1, 4096),
)
def test_what_is_written_is_read(name, bands, compression, method, left, side) -> None:
    reference = SpatialReference.of('PROJCS["é & <x>"]')
    box = BoundingBox(left, -5.5, float(f"{left + 100.25:.15G}"), 17.0)
    columns = (*BAND.columns, FieldElement("Name", "esriFieldTypeString", length=20))
    elements = tuple(
        BandElement(f"Band_{k + 1}", side, 3, kind, box, reference, "Value", columns, nodata)
        for k, (kind, nodata) in enumerate(bands)
    )
    whole = RasterElement(name, elements, compression, 60, side, 9, 3, method, (left, 17.0), "FGDBR", "sde.OTHER")
    assert reference.x_origin != float(f"{reference.x_origin:.15G}")  # only this number has more digits
    rounded = replace(
        reference, x_origin=float(f"{reference.x_origin:.15G}"), y_origin=float(f"{reference.y_origin:.15G}")
    )
    assert from_xml(to_xml(whole)) == replace(
        whole, bands=tuple(replace(band, spatial_reference=rounded) for band in elements)
    )


def test_a_band_without_a_table() -> None:
    band = replace(BAND, table_type="Invalid", columns=(), pixel_type=PixelType.F32)
    root = tree_of(to_xml(replace(WORLD, bands=(band,))))
    found = root.find("Children/DataElement")
    texts = [found.findtext(name) for name in ("HasOID", "OIDFieldName", "IsInteger", "PrimaryField", "TableType")]
    assert texts == ["false", "", "false", "0", "esriRasterTableInvalid"]
    assert from_xml(to_xml(replace(WORLD, bands=(band,)))).bands[0].columns == ()


def test_descriptions_that_cannot_be_written() -> None:
    infinite = replace(BAND, nodata=math.inf)
    changes = [{"bands": ()}, {"name": "a\0b"}, {"name": "\ud800"}, {"origin": (math.nan, 0.0)}, {"bands": (infinite,)}]
    for wrong in (replace(WORLD, **change) for change in changes):
        with pytest.raises(ConfigError):
            to_xml(wrong)


# --- hostile documents ---

DOCUMENT = to_xml(WORLD).decode()
LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 9))


@pytest.mark.parametrize(
    "prologue",
    [
        "<!DOCTYPE x>",
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://localhost/x.dtd">',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    ],
)
def test_no_document_type_is_taken(prologue) -> None:
    for entity in ("", "&l8;", "&f;"):
        body = DOCUMENT.partition("?>")[2].replace("world_TIF</Name>", f"{entity}</Name>")
        with pytest.raises(DecodeError, match=r"document type|not well-formed"):
            from_xml((prologue + body).encode())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<Width>2048</Width>", "", "has no Width"),
        ("<Width>2048</Width>", "<Width>0</Width>", "Width is 0: an integer from 1"),
        ("<Width>2048</Width>", "<Width>1e300</Width>", "Width is 1e.300: an integer"),
        ("<Width>2048</Width>", "<Width>20.5</Width>", r"Width is 20\.5"),
        ("<Width>2048</Width>", "<Width>inf</Width>", "a finite number expected"),
        ("<XMin>-179.906382261841</XMin>", "<XMin>999</XMin>", "encloses nothing"),
        ("<XMin>-179.906382261841</XMin>", "<XMin>x&#10;y</XMin>", "a finite number expected"),
        ("<PixelType>U8</PixelType>", "<PixelType>U128</PixelType>", "PixelType is 'U128'"),
        ("<TileWidth>128</TileWidth>", "<TileWidth>99999</TileWidth>", "TileWidth is 99999"),
        ("esriRasterCompressionLZ77", "esriRasterCompressionLERC", "CompressionType is"),
        ("<IsNullable>true", "<IsNullable>perhaps", "IsNullable is 'perhaps': true or false"),
        ("esri:DERasterBand", "esri:DETable", "has 0 bands"),
        ("esri:DERasterDataset", "esri:DEFeatureDataset", "no DataElement of type DERasterDataset"),
        ("</Name>", "</Nom>", "not well-formed"),
        ("<Children", "<a>" * 60 + "</a>" * 60 + "<Children", "inside one another"),
        ("<Children", "<a/>" * 250_000 + "<Children", "more than 200000 elements"),
        ("UTF-8", "UTF-99", "not well-formed"),
    ],
)
def test_documents_that_make_no_sense(old, new, message) -> None:
    assert old in DOCUMENT
    with pytest.raises(DecodeError, match=message) as caught:
        from_xml(DOCUMENT.replace(old, new).encode())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_documents_cut_short_or_endless() -> None:
    data = DOCUMENT.encode()
    for size in range(0, len(data), 97):
        with pytest.raises(DecodeError):
            from_xml(data[:size])
    with pytest.raises(DecodeError, match="at most 16777216 are read"):
        from_xml(data + b" " * (16 << 20))


def test_other_encodings_and_a_workspace_around() -> None:
    assert re.search(r"<\?xml[^>]*UTF-8", DOCUMENT)
    body = DOCUMENT.partition("?>")[2]
    around = f"<esri:Workspace><DatasetDefinitions>{body}</DatasetDefinitions></esri:Workspace>"
    wrapped = f"<?xml version='1.0' encoding='UTF-16'?>{around}"
    assert from_xml(wrapped.encode("utf-16")) == from_xml(DOCUMENT.encode())
