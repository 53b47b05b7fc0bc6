"""A browser that is driven over WebDriver: Debian's chromium and chromium-driver."""
import base64
import json
import shutil
import socket
import subprocess
import sys
import urllib.request

from service import wait_until


def skip_without_browser():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        print("SKIPPED: no chromium and chromium-driver")
        sys.exit(77)


class Browser:
    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL)
        self.session = ""
        if not wait_until(self.answers, 20):
            raise RuntimeError("chromedriver does not answer")
        options = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                            "--window-size=1200,2400"]}
        capabilities = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options,
                                                         "goog:loggingPrefs": {"browser": "ALL"}}}}
        self.session = "/session/" + self.call("/session", capabilities)["sessionId"]

    def answers(self):
        try:
            return self.call("/status")["ready"]
        except OSError:
            return False

    def call(self, path, body=None):
        ask = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.session}{path}",
                                     None if body is None else json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(ask, timeout=60))["value"]

    def open(self, url):
        self.call("/url", {"url": url})

    def run(self, script, *values):
        return self.call("/execute/sync", {"script": script, "args": values})

    def until(self, script, seconds=30):
        if not wait_until(lambda: self.run(script), seconds):
            raise AssertionError(f"never true: {script}\n{self.run('return document.body.innerText')[:2000]}")

    def screenshot(self, path):
        open(path, "wb").write(base64.b64decode(self.call("/screenshot")))

    def close(self):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{self.session}", method="DELETE"))
        self.driver.terminate()
        self.driver.wait()
