cat > "$CASE/registry.py" <<'PY'
import base64, http.server

KNOWN = "Basic " + base64.b64encode(b"mona:the-password-of-mona").decode()


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers["Authorization"] == KNOWN
        status = 401 if not known else 200 if self.path == "/v2/" else 404
        body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}' if status == 404 else b"{}"
        self.send_response(status)
        if not known:
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 18432), Registry)
print("ready", flush=True)
server.serve_forever()
PY
python3 "$CASE/registry.py" > "$CASE/ready" 2>&1 &
echo $! > "$CASE/registry.pid"
until grep -q ready "$CASE/ready"; do kill -0 "$(cat "$CASE/registry.pid")" || { cat "$CASE/ready"; exit 1; }; done
