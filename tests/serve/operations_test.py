"""What operators do: TLS, keys and their reload by SIGHUP, a second stop, restarts. usage: operations_test.py MII"""
import hashlib
import json
import os
import pathlib
import re
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
            old.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
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

    def test_pipes_in_place_of_certificate_and_key_do_not_stop_the_service(self):
        if not shutil.which("openssl"):
            self.skipTest("no openssl")
        certificate, key = make_certificate(self.folder, "c")
        with service(PROGRAM, "--tls-certificate", str(certificate), "--tls-key", str(key)) as running:
            for path in (certificate, key):
                path.unlink()
                os.mkfifo(path)
            running.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: self.events(running, "reload_failed"), 10))
            self.assertIn("not a regular file", self.events(running, "reload_failed")[0]["reason"])
            ssl.get_server_certificate(("127.0.0.1", running.port))

    def test_sighup_goes_on_in_a_new_log_file_and_loses_no_line(self):
        log, rotated = self.folder / "log", [self.folder / f"log.{n}" for n in range(3)]
        process = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--log", log])
        try:
            self.assertTrue(wait_until(lambda: log.exists() and '"ready"' in log.read_text(), 60))
            port = json.loads(log.read_text().splitlines()[0])["port"]
            asked = 0
            for old in rotated:
                log.rename(old)
                process.send_signal(signal.SIGHUP)
                for _ in range(50):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/livez").read()
                    asked += 1
                self.assertTrue(wait_until(lambda: log.exists() and '"what":"log"' in log.read_text(), 10))
        finally:
            process.terminate()
            self.assertEqual(process.wait(30), 0)
        lines = [json.loads(line) for file in (*rotated, log) for line in file.read_text().splitlines()]
        self.assertEqual(sum(line["event"] == "request" for line in lines), asked)
        self.assertEqual(lines[-1]["event"], "stopped")
        self.assertEqual(json.loads(log.read_text().splitlines()[-1])["event"], "stopped")

    def usage(self, *flags, environment=None):
        """Standard error of a start that must be refused as wrong usage."""
        done = subprocess.run([PROGRAM, "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=60,
                              env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, 2, (flags, environment, done.stderr))
        return done.stderr

    def test_numbers_that_make_no_sense_are_wrong_usage(self):
        whole = ["port", "max-batch", "queue", "queue-texts", "decode-threads", "max-body-mb", "max-bodies-mb",
                 "max-header-bytes", "max-images", "max-labels", "max-text-bytes", "max-json-depth", "max-connections",
                 "max-connections-per-client", "max-pixels", "max-volume-bytes", "devices"]
        real = ["batch-wait-ms", "deadline", "drain", "watchdog-interval", "stuck-after", "rate", "rate-burst",
                "header-timeout", "read-timeout", "write-timeout", "idle-timeout"]
        shown = subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True).stdout
        numeric = set(re.findall(r"--([a-z-]+) (?:U?INT|FLOAT)", shown)) - {"threads"}
        self.assertEqual(numeric, {*whole, *real})
        for name in (*whole, *real):
            for value in ("-1", "-5", "nan", "inf", "99999999999999999999", "one", "1 2"):
                self.assertIn(f"found '{value}'", self.usage(f"--{name}", value))
        for name in whole:
            self.assertIn("found '1.5'", self.usage(f"--{name}", "1.5"))
        self.assertIn("expected a whole number from 0 to 65535, found '70000'", self.usage("--port", "70000"))
        self.assertIn("found '-1'", self.usage(environment={"MII_SERVE_QUEUE": "-1"}))
        config = self.folder / "config"
        config.write_text("queue = 7\nheader-timeout = nan\n")
        self.assertIn("line 2: ", self.usage("--config", str(config)))
        config.write_text("queue = 7\nqueue = 8\n")
        self.assertIn("line 2: 'queue' is given twice", self.usage("--config", str(config)))

    def test_each_line_of_a_list_in_the_configuration_file_counts(self):
        config = self.folder / "config"
        config.write_text("cors-origin = https://a.example\ncors-origin = https://b.example\nmax-images = 7\n")

        def allowed(running, origin):
            ask = urllib.request.Request(running.url + "/livez", headers={"Origin": origin})
            return urllib.request.urlopen(ask).headers["Access-Control-Allow-Origin"]

        with service(PROGRAM, "--config", str(config)) as running:
            for origin in ("https://a.example", "https://b.example"):
                self.assertEqual(allowed(running, origin), origin)
            self.assertEqual(self.events(running, "listening")[0]["max_images"], 7)
        with service(PROGRAM, "--config", str(config), "--cors-origin", "https://c.example") as running:
            self.assertIsNone(allowed(running, "https://b.example"), "a flag goes before the file")

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
                link.sendall(b"POST /encode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
                time.sleep(0.2)
                running.process.send_signal(signal.SIGTERM)
                self.assertTrue(wait_until(lambda: self.events(running, "draining"), 10))
                time.sleep(0.2)
                self.assertIsNone(running.process.poll(), "a request is under way")
                running.process.send_signal(signal.SIGTERM)
                self.assertEqual(running.process.wait(10), 1)
                running.reader.join()


unittest.main(verbosity=2)
