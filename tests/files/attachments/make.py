#!/usr/bin/python3
"""Make the files beside this script once more. Not run by any test: LibreOffice and pandoc are large.

    apt-get install pandoc libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui \
        python3-reportlab python3-uno python3-pil fonts-dejavu-core img2pdf qpdf
    ./make.py

Files that a few lines can make (bombs, a thousand pages, cut and wrong ones) are made by the tests
themselves.
"""

import os
import pathlib
import subprocess
import tempfile
import time

import uno
from com.sun.star.beans import NamedValue, PropertyValue
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen import canvas

HERE = pathlib.Path(__file__).resolve().parent
LETTER = """# Invoice 4711

Dear Jane, please pay *within* thirty days[^1]. Straße, naïve, 東京.

| Item | Price |
|------|-------|
| Tea  | 3.50  |
| Cups | 12    |

[^1]: Or sooner.
"""
PRICES = """Item,Price,Date
Tea,3.50,2026-10-12
"Cups, blue",12,2026-10-13 09:31:04
"""


def run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, **options)


def office(source, kind, folder):
    run("soffice", "--headless", "--convert-to", kind, "--outdir", folder, source, stderr=subprocess.DEVNULL)


def with_password(source, target, filter_name):
    """Store `source` behind the password "secret", by LibreOffice's own hand."""
    pipe = f"mailbus{os.getpid()}"
    server = subprocess.Popen(["/usr/lib/libreoffice/program/soffice.bin", "--headless",
                               f"--accept=pipe,name={pipe};urp;"], stderr=subprocess.DEVNULL)
    try:
        context = uno.getComponentContext()
        resolver = context.ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
        for _ in range(100):
            try:
                remote = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
                break
            except Exception:
                time.sleep(0.2)
        desktop = remote.ServiceManager.createInstance("com.sun.star.frame.Desktop")

        def value(name, what):
            return PropertyValue(Name=name, Value=what)

        document = desktop.loadComponentFromURL(source.as_uri(), "_blank", 0, (value("Hidden", True),))
        lock = value("Password", "secret")
        if "XML" in filter_name:
            secret = (NamedValue(Name="OOXPassword", Value="secret"),
                      NamedValue(Name="CryptoType", Value="StrongEncryptionDataSpace"))
            lock = value("EncryptionData", uno.Any("[]com.sun.star.beans.NamedValue", secret))
        document.storeToURL(target.as_uri(), (value("FilterName", filter_name), lock))
        document.close(True)
        desktop.terminate()
        server.wait(30)
    finally:
        server.kill()


def pdf(path, pages):
    page = canvas.Canvas(str(path), invariant=True)
    for lines in pages:
        for number, line in enumerate(lines):
            page.drawString(72, 760 - 20 * number, line)
        page.showPage()
    page.save()


def picture(path, lines):
    image = Image.new("1", (900, 80 + 60 * len(lines)), 1)
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 40)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((40, 40 + 60 * number), line, 0, font=font)
    image.save(path)


def main():
    os.chdir(HERE)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        (work / "letter.md").write_text(LETTER)
        (work / "prices.csv").write_text(PRICES)
        run("pandoc", work / "letter.md", "-o", work / "letter.docx")
        run("pandoc", work / "letter.md", "-o", "slides.pptx")
        run("pandoc", work / "letter.md", "-o", "pandoc.docx")
        run("pandoc", work / "letter.md", "-o", "pandoc.odt")
        office(work / "letter.docx", "odt", HERE)
        office(HERE / "letter.odt", "docx", HERE)
        office(work / "letter.docx", "doc", HERE)
        office(HERE / "slides.pptx", "odp", HERE)
        office(work / "prices.csv", "xlsx", HERE)
        office(work / "prices.csv", "ods", HERE)
        office(work / "letter.docx", "pdf", HERE)
        with_password(HERE / "letter.odt", HERE / "locked.odt", "writer8")
        with_password(HERE / "letter.odt", HERE / "locked.docx", "MS Word 2007 XML")
        pdf(HERE / "two-pages.pdf", [["Hello invoice 4711", "Total: 12.50 EUR"], ["Page two"]])
        run("qpdf", "--encrypt", "user", "owner", "256", "--", "two-pages.pdf", "locked.pdf")
        run("qpdf", "--encrypt", "", "owner", "256", "--extract=n", "--", "two-pages.pdf", "no-copying.pdf")
        picture(HERE / "scan.png", ["Scanned invoice", "Total 99 euro"])
        picture(work / "second.png", ["Second scanned page"])
        picture(work / "nothing.png", [])
        run("img2pdf", "scan.png", work / "second.png", "-o", "scan.pdf")
        run("img2pdf", work / "nothing.png", "-o", "blank.pdf")


if __name__ == "__main__":
    main()
