"""`mii pull` from a mirror of Hugging Face's on this machine. usage: pull_test.py MII"""
import contextlib
import http.server
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

MII = str(pathlib.Path(sys.argv.pop(1)).resolve())
FOLDER = "/lion-ai/MedImageInsights/resolve/main/2024.09.27/"


@contextlib.contextmanager
def mirror(files):
    """Redirects what is asked for to where it is, as Hugging Face does, and has these files."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if not self.path.startswith("/cdn/"):
                self.send_response(302)
                self.send_header("Location", "/cdn/" + self.path.removeprefix(FOLDER))
                self.send_header("Content-Length", "0")
                return self.end_headers()
            body = files.get(self.path.removeprefix("/cdn/"))
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def pull(out, endpoint, *flags):
    environment = {**os.environ, "HF_ENDPOINT": endpoint}
    return subprocess.run([MII, "pull", str(out), *flags], env=environment, capture_output=True, text=True)


class Pull(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)

    def test_asks_the_mirror_that_hf_endpoint_names(self):
        with mirror({}) as (url, asked):
            run = pull(self.out, url + "/")
        self.assertEqual(asked, [FOLDER + "config.yaml", "/cdn/config.yaml"])
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(f"{url}{FOLDER}config.yaml: the server answered 404", run.stderr)

    def test_an_address_goes_before_hf_endpoint(self):
        with mirror({}) as (url, asked):
            pull(self.out, "http://127.0.0.1:1", "--url", url + "/mine")
        self.assertEqual(asked[0], "/mine/config.yaml")

    def test_small_files_are_checked_too(self):
        with mirror({"config.yaml": b"x" * 4082}) as (url, _):
            run = pull(self.out, url)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("config.yaml: SHA-256 is ", run.stderr)
        self.assertEqual([path for path in self.out.rglob("*") if path.is_file()], [])
        with mirror({"config.yaml": b"a page that asks to log in"}) as (url, _):
            run = pull(self.out, url)
        self.assertIn("the server's file has 26 bytes, expected 4082", run.stderr)

    def test_connections_are_one_to_sixteen(self):
        for number in ("0", "17", "x"):
            run = pull(self.out, "http://127.0.0.1:1", "--connections", number)
            self.assertEqual(run.returncode, 2, run.stderr)


unittest.main()
