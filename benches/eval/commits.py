"""The history of a git repository as a data set for `memnode eval`.

    python3 benches/eval/commits.py REPOSITORY [PATH...] > commits.jsonl

A memory of type `file` is the path of a file and how it begins; one of type `commit` is a commit's
message. The queries, by class; each is asked among memories of the other type, and its halves stay
together (`group`):
- `subject`: the subject of a commit; relevant are the files it touched;
- `body`: the sentences of a commit's body; the same;
- `opening`: the first sentence of a file; relevant are the commits that touched it;
- `path`: the path of a file; the same.
"""

import json
import re
import subprocess
import sys

# A commit that touches more files than this is about none of them.
TOUCHED_MAX = 25
OPENING_CHARS = 1_500
COMMENT = re.compile(r"^\s*(?://[/!]?|#+!?|--|/?\*+/?|\"\"\"|<!--)\s?")


def git(repository, *arguments):
    return subprocess.run(["git", "-C", repository, *arguments], check=True, text=True,
                          errors="replace", stdout=subprocess.PIPE).stdout


def commits(repository, paths):
    log = git(repository, "log", "--no-merges", "--name-only", "--format=%x01%h%x02%s%x02%b%x02",
              "--", *paths)
    for entry in log.split("\x01")[1:]:
        number, subject, body, files = entry.split("\x02")
        body = "\n".join(line for line in body.splitlines() if not re.match(r"[\w-]+-by:", line))
        yield number, subject.strip(), body.strip(), files.split()


def first_sentence(text):
    lines = (COMMENT.sub("", line).strip() for line in text.splitlines())
    told = re.split(r"(?<=[.:])\s", " ".join(line for line in lines if line), maxsplit=1)[0]
    return told if 30 <= len(told) <= 300 and not re.search(r"[{};=]", told) else None


def main(repository, paths):
    history = list(commits(repository, paths))
    present = git(repository, "ls-files", "--", *paths).split()
    texts = {}
    for path in present:
        text = git(repository, "show", f"HEAD:{path}")
        if text.strip() and "\x00" not in text:
            texts[path] = text
    for path, text in texts.items():
        content = f"{path}\n{text[:OPENING_CHARS]}"
        print(json.dumps({"document": path, "content": content, "memory_type": "file"}))
    by_file = {}

    def query(number, kind, text, relevant, group, among):
        if text and relevant:
            print(json.dumps({"query": f"{kind}-{number}", "text": text, "class": kind,
                              "relevant": relevant, "group": group, "memory_type": among}))

    for number, subject, body, files in history:
        content = f"{subject}\n\n{body}".strip()
        print(json.dumps({"document": number, "content": content, "memory_type": "commit"}))
        touched = [path for path in files if path in texts]
        if len(files) > TOUCHED_MAX:
            continue
        for path in touched:
            by_file.setdefault(path, []).append(number)
        query(number, "subject", subject, touched, number, "file")
        query(number, "body", " ".join(body.split())[:400], touched, number, "file")
    for path, numbers in by_file.items():
        query(path, "opening", first_sentence(texts[path]), numbers, path, "commit")
        query(path, "path", path, numbers, path, "commit")


main(sys.argv[1], sys.argv[2:])
