"""A service that speaks OpenAI's embeddings call and knows the vectors of a corpus.

    service.py CORPUS

So memnode gets the very vectors that the others get. They are written out beforehand: what it
costs to answer is little more than to send them. Prints its address.
"""

import json
import mmap
import socketserver
import sys
from pathlib import Path

import numpy


class Answers(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while length := self.content_length():
            texts = json.loads(self.rfile.read(length))["input"]
            try:
                self.answer(200, self.server.body(texts))
            except KeyError as text:
                self.answer(404, f"no vector for {text}".encode())

    def content_length(self):
        """Of the next request; 0 when there is none."""
        length = 0
        while (line := self.rfile.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return length

    def answer(self, status, body):
        head = (f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n")
        self.wfile.write(head.encode() + body)


class Service(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, directory):
        super().__init__(("127.0.0.1", 0), Answers)
        texts = json.loads((directory / "texts.json").read_text(encoding="utf-8"))
        self.numbers = {text: number for number, text in enumerate(texts)}
        self.offsets = numpy.load(directory / "offsets.npy").tolist()
        with (directory / "vectors.json").open("rb") as vectors:
            self.vectors = mmap.mmap(vectors.fileno(), 0, access=mmap.ACCESS_READ)

    def body(self, texts):
        items = []
        for index, text in enumerate(texts):
            number = self.numbers[text]
            vector = self.vectors[self.offsets[number]:self.offsets[number + 1]]
            items.append(b'{"index":%d,"embedding":%s}' % (index, vector))
        return b'{"data":[%s]}' % b",".join(items)


if __name__ == "__main__":
    with Service(Path(sys.argv[1])) as service:
        print(f"http://127.0.0.1:{service.server_address[1]}/v1/embeddings", flush=True)
        service.serve_forever()
