# SPDX-License-Identifier: MIT
"""receiver.py ADDRESS PORT FILE: a server of webhooks. The first request of a path gets a
500, later ones 204. FILE gets a line for each: path, timestamp, signature, body."""
import http.server
import sys

address, port, log = sys.argv[1:]
seen = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(log, "a") as f:
            print(self.path, self.headers["Nst-Timestamp"], self.headers["Nst-Signature"], body,
                  sep="\t", file=f)
        self.send_response(204 if self.path in seen else 500)
        self.end_headers()
        seen.add(self.path)

    def log_message(self, *args):
        pass


http.server.HTTPServer((address, int(port)), Handler).serve_forever()
