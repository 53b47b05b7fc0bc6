"""A browser opens /docs and sends the example of /predict from the page; /redoc shows the routes.
usage: browser_test.py MII"""
import json
import sys

from browser import Browser, skip_without_browser
from service import service


def main():
    skip_without_browser()
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
            summary = json.loads(running.get("/openapi.json"))["paths"]["/predict"]["post"]["summary"]
            browser.until(f"return document.body.innerText.includes({json.dumps(summary)})")
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
