"""The extractor on files: good ones of every kind, and the worst that people send.

Runs tests/unit/extract/try.c, which is the extractor as it is shipped, with real engines in the real sandbox.
Bombs and broken files are made here, in a few lines each; the others are in tests/files/attachments.
"""

import io
import json
import os
import struct
import subprocess
import zipfile
import zlib

import pytest

from mailbus_testing import BIN, ROOT

TRY = BIN.parent / "tests" / "extract_try"
FILES = ROOT / "tests" / "files" / "attachments"
OFFICE = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."


def start(*arguments, env=None, before=None, timeout=60):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}
    return subprocess.run([str(TRY), *map(str, arguments)], capture_output=True, timeout=timeout,
                          env={**environment, **(env or {})}, preexec_fn=before)


def extract(*arguments, env=None):
    """One result a file."""
    done = start(*arguments, env=env)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


@pytest.fixture
def check(tmp_path):
    """Write `data`, extract it, and compare the status; the result for more."""

    def run(data, status, *options, name="attachment"):
        path = tmp_path / name
        path.write_bytes(data)
        result = extract(*options, path)[0]
        assert result["status"] == status, json.dumps(result)[:2000]
        assert (result["text"] != "") == (status in ("ok", "truncated"))
        return result

    return run


# --- good files ------------------------------------------------------------------------------------

LETTER = ["Invoice 4711", "please pay within thirty days", "Straße, naïve, 東京", "Or sooner."]
TABLE = ["Item\tPrice", "Tea\t3.50", "Cups\t12"]
GOOD = {
    "letter.docx": (OFFICE + "wordprocessingml.document", LETTER + TABLE),
    "pandoc.docx": (OFFICE + "wordprocessingml.document", LETTER + TABLE),
    "letter.odt": (ODF + "text", LETTER + TABLE),
    "pandoc.odt": (ODF + "text", LETTER + TABLE),
    "slides.pptx": (OFFICE + "presentationml.presentation", LETTER + TABLE),
    "slides.odp": (ODF + "presentation", LETTER + TABLE),
    "prices.xlsx": (OFFICE + "spreadsheetml.sheet",
                    ["Item\tPrice\tDate\nTea\t3.5\t2026-10-12\nCups, blue\t12\t2026-10-13 09:31:04"]),
    "prices.ods": (ODF + "spreadsheet", ["Item\tPrice\tDate\nTea\t3.5\t2026-10-12\nCups, blue\t12\t2026-10-13 09:31:04"]),
    "letter.pdf": ("application/pdf", LETTER),
    "two-pages.pdf": ("application/pdf", ["Hello invoice 4711", "Total: 12.50 EUR", "Page two"]),
    "no-copying.pdf": ("application/pdf", ["Hello invoice 4711"]),
    "scan.pdf": ("application/pdf", ["Scanned invoice", "Total 99 euro", "Second scanned page"]),
    "scan.png": ("image/png", ["Scanned invoice", "Total 99 euro"]),
}


def test_every_kind_of_file_gives_its_text():
    results = extract(*(FILES / name for name in GOOD))
    for (name, (kind, words)), result in zip(GOOD.items(), results, strict=True):
        assert (result["status"], result["type"]) == ("ok", kind), (name, result)
        for word in words:
            assert word in result["text"], (name, result["text"])
        assert result["engine"] and result["version"], (name, result)
    assert {r["engine"] for r in results} == {"pdftotext", "tesseract", "mailbus-extract-engine"}
    assert results[list(GOOD).index("two-pages.pdf")]["pages"] == 2


def test_what_is_locked_is_encrypted():
    for result in extract(*(FILES / name for name in ("locked.pdf", "locked.docx", "locked.odt"))):
        assert result["status"] == "encrypted" and result["text"] == "", result


def test_a_scan_without_ocr_is_no_text_layer_never_an_empty_success():
    scan, picture = extract("--no-ocr", FILES / "scan.pdf", FILES / "scan.png")
    assert scan["status"] == picture["status"] == "no_text_layer"
    assert "OCR is switched off" in scan["detail"] and "OCR is switched off" in picture["detail"]
    assert extract(FILES / "blank.pdf")[0]["status"] == "no_text_layer"


def test_ocr_stops_in_time_with_what_it_has(check):
    pages = 60
    result = check(scans_pdf(pages), "truncated", "--wall", 5000)
    assert "Scanned invoice" in result["text"] and "no time for page" in result["detail"]
    assert result["wall_ms"] < 9000 and result["pages"] == pages


def test_types_without_an_engine_are_unsupported(check):
    result = extract(FILES / "letter.doc")[0]
    assert (result["status"], result["type"]) == ("unsupported", "application/msword")
    assert check(b"\x7fELF" + bytes(100), "unsupported")["type"] == "application/x-executable"
    assert check(bytes(range(256)) * 4, "unsupported")["type"] == "application/octet-stream"
    assert check(b"\x1f\x8b" + bytes(100), "unsupported")["type"] == "application/gzip"


def test_the_type_is_what_it_is_not_what_it_is_called(check):
    pdf = (FILES / "two-pages.pdf").read_bytes()
    assert check(pdf, "ok", name="letter.docx")["type"] == "application/pdf"
    assert check((FILES / "letter.docx").read_bytes(), "ok", name="a.pdf")["type"].startswith(OFFICE)
    assert check((FILES / "scan.png").read_bytes(), "ok", name="a.txt")["type"] == "image/png"
    assert check(b"MZ" + bytes(100), "unsupported", name="a.pdf")["type"].endswith("executable")


# --- text and HTML -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data, text", [
    ("Grüße\n".encode(), "Grüße"),
    (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße"),
    ("Grüße €".encode("utf-16"), "Grüße €"),
    ("Grüße 𝄞".encode("utf-16-be").join([b"\xfe\xff", b""]), "Grüße 𝄞"),
    ("Grüße".encode("utf-32"), "Grüße"),
    ("Grüße €".encode("cp1252"), "Grüße €"),
    (b"\xef\xbb\xbfbad \xff byte", "bad \ufffd byte"),
    (b"a\r\nb\rc\x0cd\x0be", "a\nb\nc\nd\ne"),
    (b"bell \x1b[31m", "bell [31m"),
    ("e\u0301".encode(), "é"),
    (("a" + "\u0301" * 1000 + "b").encode(), "á" + "\u0301" * 29 + "b"),
], ids=["utf8", "utf8-mark", "utf16", "utf16be", "utf32", "cp1252", "bad-utf8", "line-ends", "escape", "nfc", "marks"])
def test_text_is_utf8_nfc_and_without_control_characters(check, data, text):
    assert check(data, "ok")["text"] == text


def test_html_gives_what_is_shown(check):
    page = b"""<!-- x --><!DOCTYPE html><html><head><title>Offer</title><style>p {color: red}</style>
        <script>alert("no")</script></head><body><p>Tea &amp; cups<br>for   two</p><ul><li>one</li><li>two</li></ul>
        <table><tr><td>Tea</td><td>3.50</td></tr></table><pre>a\n  b</pre><p>Gr\xfc\xdfe</body>"""
    result = check(page, "ok")
    assert result["type"] == "text/html"
    assert result["text"] == "Offer\n\nTea & cups\nfor two\n\none\ntwo\n\nTea\t3.50\n\na\n  b\n\nGrüße"


def test_html_says_its_character_set_itself(check):
    page = '<html><meta charset="koi8-r"><p>Привет'.encode("koi8-r")
    assert check(page, "ok")["text"] == "Привет"


# --- bad files ---------------------------------------------------------------------------------------


def package(parts, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def docx(document):
    return package({"[Content_Types].xml": "<Types/>", "word/document.xml": document})


def odt(content):
    return package({"mimetype": ODF + "text", "content.xml": content})


def xlsx(sheet, strings="<sst/>"):
    return package({
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": '<workbook xmlns:r="r"><sheet name="S" r:id="a"/></workbook>',
        "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Target="worksheets/sheet1.xml"/></R>',
        "xl/worksheets/sheet1.xml": sheet, "xl/sharedStrings.xml": strings,
    })


def pdf(objects):
    """A PDF of numbered objects, (dictionary, stream or None); the first is the catalog. A stream in a tuple is
    packed already."""
    out = bytearray(b"%PDF-1.5\n")
    offsets = []
    for number, (entries, stream) in enumerate(objects, 1):
        offsets.append(len(out))
        if stream is None:
            out += f"{number} 0 obj <<{entries}>> endobj\n".encode()
        else:
            packed = stream[0] if isinstance(stream, tuple) else zlib.compress(stream, 9)
            out += f"{number} 0 obj <<{entries} /Filter /FlateDecode /Length {len(packed)}>> stream\n".encode()
            out += packed + b"\nendstream endobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer <</Root 1 0 R /Size {len(objects) + 1}>>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


FONT = "/Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>>>"


def pages_pdf(contents, box="0 0 595 842"):
    """A page of text for each of `contents`."""
    first = 3
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(contents)))
    objects = [("/Type /Catalog /Pages 2 0 R", None),
               (f"/Type /Pages /Count {len(contents)} /Kids [{kids}]", None)]
    for i, content in enumerate(contents):
        objects.append((f"/Type /Page /Parent 2 0 R /MediaBox [{box}] /Resources <<{FONT}>> "
                        f"/Contents {first + 2 * i + 1} 0 R", None))
        objects.append(("", content))
    return pdf(objects)


def scans_pdf(count):
    """Pages that show scan.png and nothing else."""
    picture = (FILES / "scan.png").read_bytes()
    data, at, width, height = b"", 8, 0, 0
    while at < len(picture):
        size, kind = struct.unpack(">I4s", picture[at : at + 8])
        if kind == b"IHDR":
            width, height = struct.unpack(">II", picture[at + 8 : at + 16])
        data += picture[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    kids = " ".join(f"{5 + i} 0 R" for i in range(count))
    return pdf([("/Type /Catalog /Pages 2 0 R", None), (f"/Type /Pages /Count {count} /Kids [{kids}]", None),
                (f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray "
                 f"/BitsPerComponent 1 /DecodeParms <</Predictor 15 /Columns {width} /BitsPerComponent 1>>", (data,)),
                ("", f"{width / 2} 0 0 {height / 2} 20 400 cm /I Do".encode())]
               + [("/Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources <</XObject <</I 3 0 R>>>> "
                   "/Contents 4 0 R", None)] * count)


def text_page(text):
    return b"BT /F 12 Tf 72 700 Td (" + text + b") Tj ET"


def test_an_empty_file_is_corrupt(check):
    assert check(b"", "corrupt")["detail"] == "the file is empty"


def test_a_file_that_is_too_large_is_not_opened(check):
    assert check(b"x" * 1001, "too_large", "--file", 1000)["type"] == ""
    check(b"x" * 1000, "ok", "--file", 1000)


@pytest.mark.parametrize("name", ["two-pages.pdf", "letter.docx", "letter.odt", "prices.xlsx", "scan.png", "slides.pptx"])
def test_what_is_cut_off_is_corrupt(check, name):
    data = (FILES / name).read_bytes()
    check(data[: len(data) * 2 // 5], "corrupt")


def test_a_thousand_pages_are_cut_at_the_limit(check):
    data = pages_pdf([text_page(b"This is page %d." % n) for n in range(1, 1001)])
    result = check(data, "truncated")
    assert result["pages"] == 1000 and result["detail"] == "the first 500 of 1000 pages"
    assert "This is page 500." in result["text"] and "This is page 501." not in result["text"]


def test_long_texts_are_cut(check):
    for data in (b"word " * 1000, docx("<w><p><t>" + "word " * 1000 + "</t></p></w>"),
                 pages_pdf([text_page(b"word " * 20)] * 100)):
        result = check(data, "truncated", "--output", 1000)
        assert 900 < len(result["text"]) <= 1000
    # Between two characters.
    assert check("ä".encode() * 1000, "truncated", "--output", 1001)["text"] == "ä" * 500


def bomb(head, filler, megabytes):
    """A DOCX whose document is `head` and many megabytes of `filler`. Its checksum is wrong: nobody comes so far."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(filler * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH) + block * megabytes + b"\3\0"
    size = len(head) + megabytes * (1 << 20)
    name = b"word/document.xml"
    entry = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(data), size, len(name), 0)
    types = package({"[Content_Types].xml": "<Types/>"})
    directory = types.index(b"PK\1\2")
    end = types.index(b"PK\5\6")
    local = b"PK\3\4" + entry + name + data
    central = types[directory:end] + b"PK\1\2" + struct.pack("<H", 20) + entry \
        + struct.pack("<HHHII", 0, 0, 0, 0, directory) + name
    return types[:directory] + local + central + b"PK\5\6" \
        + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(central), directory + len(local), 0)


def test_a_zip_bomb_dressed_as_docx_is_too_large(check):
    data = bomb(b"<w>", b" ", 1000)
    assert len(data) < 1_100_000
    result = check(data, "too_large")
    assert result["type"].endswith("wordprocessingml.document") and result["cpu_ms"] < 20_000
    # As text it fills the output, and is not unpacked any further.
    check(bomb(b"<w><p><t>", b"a", 1000), "truncated")


def test_zips_in_zips_are_not_looked_into(check):
    inner = package({"a": b"\0" * (1 << 20)})
    for _ in range(5):
        inner = package({f"{n}.zip": inner for n in range(4)})
    assert check(inner, "unsupported")["type"] == "application/zip"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize("wrap", [docx, odt])
@pytest.mark.parametrize("document", [
    f'<!DOCTYPE w [<!ENTITY l0 "ha">{LAUGHS}]><w><p><t>&l9;</t></p></w>',
    '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]><w><p><t>&x;</t></p></w>',
    '<!DOCTYPE w SYSTEM "http://127.0.0.1:1/x.dtd"><w><p><t>x</t></p></w>',
    "<w><p><t>&undefined;</t></p></w>",
    "<a>" * 100_000,
    "<w><p><t>never closed",
    "",
], ids=["laughs", "file", "address", "undefined", "deep", "open", "empty"])
def test_xml_bombs_are_corrupt_at_once(check, wrap, document):
    result = check(wrap(document), "corrupt")
    assert "root:" not in json.dumps(result) and result["cpu_ms"] < 2000


def test_numbers_in_documents_are_bounded(check):
    spaces = '<d><body><p>a<s c="2000000000"/>b</p></body></d>'
    assert check(odt(spaces), "ok")["text"] == "a" + " " * 64 + "b"
    cells = '<d><body><table-row><table-cell number-columns-repeated="2000000000"><p>a</p></table-cell>' \
            "<table-cell><p>b</p></table-cell></table-row></body></d>"
    assert check(odt(cells), "ok")["text"] == "a" + "\t" * 16 + "b"
    far = '<w><row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row></w>'
    assert check(xlsx(far), "ok")["text"] == "S\n1" + "\t" * 16 + "2"
    wrong = '<w><row><c t="s"><v>999999999999999999999</v></c><c t="s"><v>-1</v></c><c><v>7</v></c></row></w>'
    assert check(xlsx(wrong), "ok")["text"] == "S\n\t\t7"


def test_more_memory_than_allowed_is_memory(check):
    strings = b"<sst>" + b"<si><t>" + b"x" * (100 << 20) + b"</t></si></sst>"
    check(xlsx("<w/>", strings), "memory", "--memory", 80 << 20)
    # A page of so many words that pdftotext gives up.
    words = b"BT /F 12 Tf " + b" ".join(b"1 0 0 1 %d %d Tm (abcdefghijkl) Tj" % (n % 590, n // 590 % 840)
                                       for n in range(200_000)) + b" ET"
    check(pages_pdf([words]), "memory", "--memory", 200 << 20)


def spinning_pdf(depth=9, times=12):
    """Forms that call forms: 12 to the 9th."""
    objects = [("/Type /Catalog /Pages 2 0 R", None), ("/Type /Pages /Count 1 /Kids [3 0 R]", None),
               ("/Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
                "/Resources <</XObject <</X 5 0 R>>>>", None), ("", b"/X Do")]
    for level in range(depth):
        objects.append((f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</X {6 + level} 0 R>>>>",
                        b"/X Do " * times))
    objects.append(("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", b"0 0 1 1 re f"))
    return pdf(objects)


def test_a_pdf_that_spins_is_ended_by_the_wall_clock(check):
    result = check(spinning_pdf(), "timeout", "--wall", 1500)
    assert 1400 < result["wall_ms"] < 5000


def test_a_pdf_that_spins_is_ended_by_its_processor_time(check):
    result = check(spinning_pdf(), "timeout", "--cpu", 1)
    # How exactly a kernel counts, and when it looks at the limit, differs; a file that is read takes a tenth of it.
    assert 500 < result["cpu_ms"] < 4000


@pytest.mark.parametrize("content, status", [(text_page(b"On a giant page"), "ok"), (b"0 0 9 9 re f", "no_text_layer")])
def test_giant_pages_take_no_giant_memory(check, content, status):
    result = check(pages_pdf([content], box="0 0 2000000 2000000"), status)
    assert result["peak_memory"] < 300 << 20


def test_a_giant_picture_is_no_way_around_the_limits(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 60_000
    rows = zlib.compressobj(9)
    row = b"\0" + b"\0" * side
    data = b"".join([*(rows.compress(row) for _ in range(2000)), rows.flush()])
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) \
        + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (tmp_path / "giant").write_bytes(png)
    result = extract(tmp_path / "giant")[0]
    assert result["status"] in ("memory", "corrupt") and result["peak_memory"] < 512 << 20, result


def test_damaged_pdfs_are_mended_where_poppler_can(check):
    data = (FILES / "two-pages.pdf").read_bytes()
    mended = check(data.replace(b"startxref", b"startxxxx"), "ok")
    assert "Hello invoice 4711" in mended["text"]
    check(b"%PDF-1.7\n" + os.urandom(5000), "corrupt")
    check(b"%PDF-1.7\n", "corrupt")


def test_one_bad_file_stops_nothing(tmp_path):
    spin, bomb = tmp_path / "spin.pdf", tmp_path / "bomb.docx"
    spin.write_bytes(spinning_pdf())
    bomb.write_bytes(docx("<!DOCTYPE w><w/>"))
    results = extract("--wall", 1000, spin, bomb, FILES / "two-pages.pdf")
    assert [r["status"] for r in results] == ["timeout", "corrupt", "ok"]
