# SPDX-License-Identifier: MIT
"""receiver.py ADDRESS PORT FILE: a server of webhooks. Requests get a 204, but the first one
of /hook a 500, and the first one of /slow no response for a minute; those of /late wait for
two seconds. FILE gets a line for each when it arrives: path, timestamp, signature, body."""
import http.server
import sys
import time

address, port, log = sys.argv[1:]
seen = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(log, "a") as f:
            print(self.path, self.headers["Nst-Timestamp"], self.headers["Nst-Signature"], body,
                  sep="\t", file=f)
        first = self.path not in seen
        seen.add(self.path)
        if first and self.path == "/slow":
            time.sleep(60)
        if self.path == "/late":
            time.sleep(2)
        self.send_response(500 if first and self.path == "/hook" else 204)
        self.end_headers()

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
