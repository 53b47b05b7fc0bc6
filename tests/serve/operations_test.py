"""What operators do: TLS, keys and their reload by SIGHUP, a second stop, restarts. usage: operations_test.py MII"""
import hashlib
import json
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

from service import service, wait_until

PROGRAM = sys.argv.pop(1)


def make_certificate(folder, name):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "1", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return certificate, key


class Operations(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def events(self, running, event):
        return [entry for entry in list(running.log) if entry["event"] == event]

    @unittest.skipUnless(shutil.which("openssl"), "no openssl")
    def test_tls_and_its_reload(self):
        first, second = make_certificate(self.folder, "first"), make_certificate(self.folder, "second")
        certificate, key = self.folder / "c.pem", self.folder / "k.pem"
        shutil.copy(first[0], certificate)
        shutil.copy(first[1], key)

        def seen(port):
            return ssl.get_server_certificate(("127.0.0.1", port)).strip()

        with service(PROGRAM, "--tls-certificate", str(certificate), "--tls-key", str(key)) as running:
            self.assertEqual(seen(running.port), first[0].read_text().strip())
            context = ssl.create_default_context(cafile=certificate)
            context.check_hostname = False
            url = f"https://127.0.0.1:{running.port}"
            body = json.dumps({"texts": ["a"]}).encode()
            ask = urllib.request.Request(url + "/encode", body, {"Content-Type": "application/json"})
            self.assertEqual(len(json.load(urllib.request.urlopen(ask, context=context))["text_embeddings"]), 1)
            # Plain HTTP, and a client that says nothing, cost their connection only.
            with socket.create_connection(("127.0.0.1", running.port)) as plain:
                plain.sendall(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
                self.assertNotIn(b"200 OK", plain.recv(100))
            old = context.wrap_socket(socket.create_connection(("127.0.0.1", running.port)))
            shutil.copy(second[0], certificate)
            shutil.copy(second[1], key)
            running.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: seen(running.port) == second[0].read_text().strip(), 10))
            old.sendall(b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n")
            self.assertIn(b"200 OK", old.recv(1000))
            old.close()
            key.write_text("no key")
            running.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: self.events(running, "reload_failed"), 10))
            self.assertEqual(seen(running.port), second[0].read_text().strip())

    def test_keys_by_sighup(self):
        keys = self.folder / "keys"

        def allow(*words):
            keys.write_text("".join(hashlib.sha256(word.encode()).hexdigest() + "  -\n" for word in words))

        def status(running, word):
            ask = urllib.request.Request(running.url + "/v1/models", headers={"Authorization": f"Bearer {word}"})
            try:
                return urllib.request.urlopen(ask).status
            except urllib.error.HTTPError as error:
                return error.code

        allow("one", "two")
        with service(PROGRAM, "--keys", str(keys)) as running:
            self.assertEqual([status(running, word) for word in ("one", "two", "three")], [200, 200, 401])
            allow("three")
            running.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: status(running, "three") == 200, 10))
            self.assertEqual(status(running, "one"), 401)
            self.assertNotIn("three", json.dumps(running.log))

    def test_the_ready_line_says_what_runs(self):
        with service(PROGRAM, "--precision", "f32", "--threads", "1", "--max-images", "7") as running:
            ready = self.events(running, "ready")[0]
            self.assertEqual((ready["precision"], ready["threads"]), ("f32", 1))
            self.assertEqual(self.events(running, "listening")[0]["max_images"], 7)
            self.assertEqual(running.stop(), 0)
            self.assertEqual(running.log[-1]["event"], "stopped")

    def test_a_second_sigterm_stops_at_once(self):
        with service(PROGRAM, "--drain", "60") as running:
            with socket.create_connection(("127.0.0.1", running.port)) as link:
                link.sendall(b"POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n")
                time.sleep(0.2)
                running.process.send_signal(signal.SIGTERM)
                self.assertTrue(wait_until(lambda: self.events(running, "draining"), 10))
                time.sleep(0.2)
                self.assertIsNone(running.process.poll(), "a request is under way")
                running.process.send_signal(signal.SIGTERM)
                self.assertEqual(running.process.wait(10), 1)
                running.reader.join()


unittest.main(verbosity=2)
