"""The Cranfield collection in TREC XML as a data set for `memnode eval`.

    python3 benches/eval/cranfield.py DIRECTORY > cranfield.jsonl

DIRECTORY holds cran.all.1400.xml, cran.qry.xml and cranqrel.trec.txt. The judgements number the
queries in the order of their file, not by the numbers that the file gives them.
"""

import html
import json
import re
import sys
from pathlib import Path


def field(record, name):
    found = re.search(rf"<{name}>(.*?)</{name}>", record, re.DOTALL)
    return " ".join(html.unescape(found.group(1)).split()) if found else ""


def main(directory):
    records = re.findall(r"<doc>(.*?)</doc>", (directory / "cran.all.1400.xml").read_text(), re.S)
    known = set()
    for record in records:
        number, title, text = (field(record, name) for name in ["docno", "title", "text"])
        if not text:
            continue
        known.add(number)
        # The text begins with the title already.
        content = text if text.startswith(title) else f"{title}\n{text}"
        print(json.dumps({"document": number, "content": content}))
    relevant = {}
    for line in (directory / "cranqrel.trec.txt").read_text().splitlines():
        query, _, document, grade = line.split()
        if int(grade) > 0 and document in known:
            relevant.setdefault(int(query), []).append(document)
    queries = re.findall(r"<top>(.*?)</top>", (directory / "cran.qry.xml").read_text(), re.S)
    for number, query in enumerate(queries, start=1):
        if relevant.get(number):
            line = {"query": str(number), "text": field(query, "title"), "class": "question",
                    "relevant": relevant[number]}
            print(json.dumps(line))


main(Path(sys.argv[1]))
