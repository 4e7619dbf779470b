"""As much of an S3 server as a transfer of folders needs, with nothing in the way of its bytes: objects stand in memory.

python benchmarks/s3_in_memory.py [--port 0]

It prints its port, and serves until it is killed. moto reads a whole object for each range of it and copies a whole one when
an upload ends, and so measures itself. Signatures and checksums are not looked at, as a server does that with its own cores.
"""

import argparse
import hashlib
import socketserver
import threading
from collections.abc import Mapping, Sequence
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

_XML = '<?xml version="1.0" encoding="UTF-8"?>'


class Stored:
    """An object, and what its writer said of it."""

    def __init__(self, parts: list[bytearray], metadata: Mapping[str, str], etag: str) -> None:
        self.parts = parts
        self.metadata = metadata
        self.etag = etag
        self.size_bytes = sum(map(len, parts))

    def told(self) -> dict[str, str]:
        """Headers that say what it is."""
        return {"ETag": self.etag, "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", **self.metadata}

    def pieces(self, first: int, last: int) -> list[memoryview]:
        """The bytes from ``first`` to ``last``, both included, where they stand."""
        found, begin = [], 0
        for part in self.parts:
            low, high = max(first - begin, 0), min(last + 1 - begin, len(part))
            if low < high:
                found.append(memoryview(part)[low:high])
            begin += len(part)
        return found


class Objects:
    """All that the server has."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, tuple[str, Mapping[str, str], dict[int, bytearray]]] = {}
        self.changing = threading.Lock()
        self.begun = 0


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    rbufsize = 1 << 16
    disable_nagle_algorithm = True
    there = Objects()

    def handle(self) -> None:
        while line := self.rfile.readline():
            method, target, _ = line.decode().split(" ", 2)
            headers = {}
            while (header := self.rfile.readline().strip()) != b"":
                name, _, value = header.decode("latin1").partition(":")
                headers[name.lower()] = value.strip()
            if headers.get("expect") == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = read_whole(self.rfile, int(headers.get("content-length", 0)))
            address = urlsplit(target)
            key = unquote(address.path).lstrip("/").partition("/")[2]
            query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
            getattr(self, method.lower())(key, query, headers, body)

    def put(self, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytearray) -> None:
        """An object, a part of one, or (without a key) a bucket."""
        etag = f'"{hashlib.md5(body[:64]).hexdigest()}"'
        if "uploadId" in query:
            self.there.uploads[query["uploadId"]][2][int(query["partNumber"])] = body
        elif key:
            self.there.objects[key] = Stored([body], metadata_in(headers), etag)
        self.answer(200, {"ETag": etag})

    def post(self, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytearray) -> None:
        """The beginning of an upload, its end, or the end of many objects."""
        if "uploads" in query:
            with self.there.changing:
                self.there.begun += 1
                upload = str(self.there.begun)
                self.there.uploads[upload] = (key, metadata_in(headers), {})
            self.answer_xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        elif "uploadId" in query:
            _, metadata, parts = self.there.uploads.pop(query["uploadId"])
            etag = f'"{query["uploadId"]}-{len(parts)}"'
            self.there.objects[key] = Stored([parts[number] for number in sorted(parts)], metadata, etag)
            self.answer_xml("CompleteMultipartUploadResult", f"<ETag>{escape(etag)}</ETag>")
        else:
            for found in ElementTree.fromstring(bytes(body)).iter():
                if found.tag.endswith("Key"):
                    self.there.objects.pop(found.text or "", None)
            self.answer_xml("DeleteResult", "")

    def get(self, key: str, query: Mapping[str, str], headers: Mapping[str, str], _: bytearray) -> None:
        """An object or a range of it, or a listing."""
        if not key:
            return self.give_listing(query)
        stored = self.there.objects.get(key)
        if stored is None:
            return self.answer(404, {}, [b"<Error><Code>NoSuchKey</Code></Error>"])
        first, last, status = 0, stored.size_bytes - 1, 200
        if "range" in headers:
            low, _, high = headers["range"].removeprefix("bytes=").partition("-")
            first, last, status = int(low), min(int(high or last), last), 206
        described = {
            "ETag": stored.etag,
            "Content-Range": f"bytes {first}-{last}/{stored.size_bytes}",
            **stored.metadata,
        }
        return self.answer(status, described, stored.pieces(first, last))

    def head(self, key: str, *_: object) -> None:
        """What is known of an object."""
        stored = self.there.objects.get(key)
        if stored is None:
            return self.answer(404, {})
        described = {**stored.told(), "Content-Length": str(stored.size_bytes)}
        return self.answer(200, described, None)

    def give_listing(self, query: Mapping[str, str]) -> None:
        """The objects or, with ``uploads``, the unfinished uploads under a prefix."""
        prefix = query.get("prefix", "")
        if "uploads" in query:
            return self.answer_xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{o.size_bytes}</Size><ETag>{escape(o.etag)}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, o in sorted(self.there.objects.items())
            if key.startswith(prefix)
        )
        return self.answer_xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{found}")

    def answer_xml(self, name: str, content: str) -> None:
        """An XML document."""
        text = f'{_XML}<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{name}>'
        self.answer(200, {"Content-Type": "application/xml"}, [text.encode()])

    def answer(self, status: int, headers: Mapping[str, str], pieces: Sequence[bytes | memoryview] | None = ()) -> None:
        """A whole answer; ``None`` for one whose length the headers say and that has no body."""
        length = {} if pieces is None else {"Content-Length": str(sum(map(len, pieces)))}
        lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in {**length, **headers}.items())]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode())
        for piece in pieces or ():
            self.connection.sendall(piece)


def read_whole(stream: BinaryIO, size_bytes: int) -> bytearray:
    """So many bytes, into one place."""
    body = bytearray(size_bytes)
    view = memoryview(body)
    read = 0
    while read < size_bytes:
        read += stream.readinto(view[read:])  # type: ignore[attr-defined] - a BufferedReader has it
    return body


def metadata_in(headers: Mapping[str, str]) -> dict[str, str]:
    """What the writer wants to be told again."""
    return {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    with Server(("127.0.0.1", parser.parse_args().port), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
