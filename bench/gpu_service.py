"""Images a second of the service under load: 64 connections that send JPEGs of 512 pixels.

usage: gpu_service.py MII MODEL_FOLDER [SECONDS [FLAGS OF MII SERVE...]]     Prints one JSON object.
"""
import http.client
import io
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image

CONNECTIONS = 64
PORT = 18771


def jpeg(seed):
    small = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(small).resize((512, 512), Image.BICUBIC).save(data, "JPEG", quality=90)
    return data.getvalue()


def body_of(image):
    head = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    return head + image + b"\r\n--x--\r\n"


def ask(connection, body):
    connection.request("POST", "/encode", body, {"Content-Type": "multipart/form-data; boundary=x"})
    response = connection.getresponse()
    response.read()
    return response.status


def main():
    program, model = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10
    service = subprocess.Popen([program, "serve", "--model", model, "--port", str(PORT), "--host", "127.0.0.1", *sys.argv[4:]],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        bodies = [body_of(jpeg(i)) for i in range(16)]
        stop, counts, statuses = time.perf_counter() + seconds, [0] * CONNECTIONS, {}

        def client(i):
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
            while time.perf_counter() < stop:
                status = ask(connection, bodies[(i + counts[i]) % len(bodies)])
                statuses[status] = statuses.get(status, 0) + 1
                counts[i] += status == 200
        threads = [threading.Thread(target=client, args=(i,)) for i in range(CONNECTIONS)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        speed = sum(counts) / (time.perf_counter() - start)
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode().splitlines()
        print(json.dumps({"service, images/s": speed, "answers by status": statuses, "cores": os.cpu_count(),
                          "devices": [line for line in metrics if line.startswith("mii_device_")]}))
        return 0 if set(statuses) == {200} else 1
    finally:
        service.terminate()
        service.wait(20)


sys.exit(main())
