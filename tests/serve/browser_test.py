"""A browser opens /docs and sends the example of /predict from the page; /redoc shows the routes.
usage: browser_test.py MII"""
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from service import service, wait_until

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

    def run(self, script):
        return self.call("/execute/sync", {"script": script, "args": []})

    def until(self, script, seconds=30):
        if not wait_until(lambda: self.run(script), seconds):
            raise AssertionError(f"never true: {script}\n{self.run('return document.body.innerText')[:2000]}")

    def screenshot(self, path):
        import base64
        open(path, "wb").write(base64.b64decode(self.call("/screenshot")))

    def close(self):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{self.session}", method="DELETE"))
        self.driver.terminate()
        self.driver.wait()


def main():
    with service(sys.argv[1]) as running:
        if "without the scripts" in running.get("/docs"):
            print("SKIPPED: scripts/fetch-docs-assets was not run")
            sys.exit(77)
        browser = Browser()
        try:
            browser.open(running.url + "/docs")
            browser.until("return document.querySelector('#operations-default-predict .opblock-summary') !== null")
            browser.run("document.querySelector('#operations-default-predict .opblock-summary-control').click()")
            browser.until("return document.querySelector('#operations-default-predict .try-out__btn') !== null")
            browser.run("document.querySelector('#operations-default-predict .try-out__btn').click()")
            browser.until("return document.querySelector('#operations-default-predict .execute') !== null")
            browser.run("document.querySelector('#operations-default-predict .execute').click()")
            answer = "#operations-default-predict .live-responses-table"
            browser.until(f"return document.querySelector('{answer}') !== null")
            text = browser.run(f"return document.querySelector('{answer}').innerText")
            assert "200" in text and '"predictions"' in text and '"X-Ray"' in text, text
            if len(sys.argv) > 2:
                browser.screenshot(sys.argv[2])
            browser.open(running.url + "/redoc")
            browser.until("return document.body.innerText.includes('Score images against labels')")
            # Redoc asks a server of its makers for its logo; the page's policy forbids it.
            wrong = [entry["message"] for entry in browser.call("/se/log", {"type": "browser"})
                     if entry["level"] == "SEVERE" and "redoc/logo" not in entry["message"]]
            assert not wrong, wrong
        finally:
            browser.close()
        sent = [entry for entry in running.log if entry["event"] == "request" and entry["route"] == "/predict"]
        assert [entry["status"] for entry in sent] == [200], sent
    print("/docs sent a /predict and showed its answer; /redoc shows the routes")


main()
