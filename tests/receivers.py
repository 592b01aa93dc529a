"""A mail server and a webhook receiver for tests; runs on the stand-in host, with Python alone.

`python3 receivers.py SMTP_PORT HTTP_PORT FILE` appends what arrives to FILE, a JSON object a line:
{"by": "smtp", "to": [...], "subject": ..., "text": ...}, {"by": "http", "path": ..., "body": ...}.
"""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ADDRESS = "127.0.0.1"
LOCK = threading.Lock()


def keep(path: Path, message: dict[str, Any]) -> None:
    """Append a message to the file, whole lines only."""
    with LOCK, path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(message) + "\n")


def mail_handler(path: Path) -> type[socketserver.StreamRequestHandler]:
    """Return a handler that speaks as much SMTP as a sender needs (RFC 5321)."""

    class Mail(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def content(self) -> bytes:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                # A dot at the beginning has been doubled by the sender.
                lines.append(line[1:] if line.startswith(b".") else line)
            return b"".join(lines)

        def handle(self) -> None:
            recipients: list[str] = []
            self.say("220 receivers")
            while line := self.rfile.readline().decode(errors="replace").strip():
                verb = line.split(":")[0].split()[0].upper()
                if verb == "QUIT":
                    self.say("221 bye")
                    return
                if verb == "RCPT":
                    recipients.append(line.partition(":")[2].strip("<> "))
                if verb == "DATA":
                    self.say("354 go on")
                    mail = email.message_from_bytes(self.content(), policy=email.policy.default)
                    body = mail.get_body(("plain", "html"))
                    keep(
                        path,
                        {
                            "by": "smtp",
                            "to": recipients,
                            "subject": mail["subject"],
                            "text": body.get_content() if body else "",
                        },
                    )
                    recipients = []
                self.say("250 ok")

    return Mail


def hook_handler(path: Path) -> type[BaseHTTPRequestHandler]:
    """Return a handler that keeps what is posted."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            keep(path, {"by": "http", "path": self.path, "body": json.loads(text)})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

    return Hook


def main() -> None:
    """Serve until killed."""
    smtp_port, http_port, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    mail = socketserver.ThreadingTCPServer((ADDRESS, smtp_port), mail_handler(path))
    threading.Thread(target=mail.serve_forever, daemon=True).start()
    ThreadingHTTPServer((ADDRESS, http_port), hook_handler(path)).serve_forever()


if __name__ == "__main__":
    main()
