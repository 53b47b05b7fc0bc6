"""Clients that people have, unchanged: requests with base64.encodebytes, the openai and cohere packages, curl's forms,
and schemathesis against /openapi.json. usage: clients_test.py MII"""
import base64
import json
import math
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import cohere
    import openai
    import requests
except ImportError as error:
    print(f"SKIPPED: {error}; scripts/serve-test-venv makes the environment")
    sys.exit(77)

from service import DATA, service

PROGRAM = sys.argv.pop(1)


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = service(PROGRAM, "--precision", "f32")
        cls.service = cls.context.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def test_a_client_written_for_the_reference(self):
        url = self.service.url
        picture = base64.encodebytes((DATA / "rgb.png").read_bytes()).decode("utf-8")
        self.assertIn("\n", picture)
        predict = lambda images: requests.post(url + "/predict", json={
            "images": images, "labels": ["X-Ray", "Ultrasound", "CT"], "multilabel": False})
        # Each alone: in one batch float32 sums may differ in the last place from row to row.
        [first], [second] = (predict([form]).json()["predictions"]
                             for form in (picture, "data:image/png;base64," + picture))
        self.assertEqual(first, second)
        answer = predict([picture, "data:image/png;base64," + picture])
        answer.raise_for_status()
        self.assertEqual([list(p) for p in answer.json()["predictions"]], [list(first)] * 2)
        self.assertAlmostEqual(sum(first.values()), 1, delta=3 * 6e-8)
        self.assertEqual(list(first.values()), sorted(first.values(), reverse=True))
        # The text is Python's own: the floats are float32 values, written as repr writes them.
        text = json.dumps(answer.json(), separators=(",", ":"), ensure_ascii=False)
        self.assertEqual(text, answer.text)
        answer = requests.post(url + "/encode", json={"images": [picture], "texts": ["a", "b"]})
        vectors = answer.json()
        for vector in vectors["image_embeddings"] + vectors["text_embeddings"]:
            self.assertAlmostEqual(math.sqrt(sum(x * x for x in vector)), 1, delta=1e-6)
        self.assertEqual(json.dumps(vectors, separators=(",", ":")), answer.text)
        self.assertIsNone(requests.post(url + "/encode", json={"texts": ["a"]}).json()["image_embeddings"])
        self.assertEqual(requests.get(url + "/health").json(), {"status": "healthy"})

    def test_openai(self):
        client = openai.OpenAI(base_url=self.service.url + "/v1", api_key="none", max_retries=0)
        self.assertEqual([model.id for model in client.models.list()], ["medimageinsight"])
        answer = client.embeddings.create(model="medimageinsight", input=["X-Ray", "Ultrasound"])
        expected = requests.post(self.service.url + "/encode", json={"texts": ["X-Ray", "Ultrasound"]}).json()
        self.assertEqual([item.embedding for item in answer.data], expected["text_embeddings"])
        self.assertGreater(answer.usage.prompt_tokens, 4)
        as_numbers = client.embeddings.create(model="medimageinsight", input="X-Ray", encoding_format="float")
        self.assertEqual(as_numbers.data[0].embedding, expected["text_embeddings"][0])
        signs = client.embeddings.create(model="medimageinsight", input="X-Ray", encoding_format="ubinary")
        self.assertEqual("".join(f"{int(byte):08b}" for byte in signs.data[0].embedding)[:len(as_numbers.data[0].embedding)],
                         "".join("1" if x > 0 else "0" for x in as_numbers.data[0].embedding))
        shorter = client.embeddings.create(model="medimageinsight", input="X-Ray", dimensions=16).data[0].embedding
        norm = math.sqrt(sum(x * x for x in as_numbers.data[0].embedding[:16]))
        for x, y in zip(shorter, as_numbers.data[0].embedding[:16], strict=True):
            self.assertAlmostEqual(x, y / norm, delta=2**-24)  # half a float32's step below 1
        picture = "data:image/png;base64," + base64.b64encode((DATA / "rgb.png").read_bytes()).decode()
        answer = client.embeddings.create(model="medimageinsight", input=[picture], extra_body={"modality": "image"})
        expected = requests.post(self.service.url + "/encode", json={"images": [picture]}).json()
        self.assertEqual(answer.data[0].embedding, expected["image_embeddings"][0])
        with self.assertRaises(openai.NotFoundError) as caught:
            client.embeddings.create(model="other", input="a")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError):
            client.embeddings.create(model="medimageinsight", input=["http://127.0.0.1:1/x.png"],
                                     extra_body={"modality": "image"})

    def test_cohere(self):
        client = cohere.ClientV2(api_key="none", base_url=self.service.url + "/providers/microsoft")
        texts = ["X-Ray", "Ultrasound"]
        answer = client.embed(model="medimageinsight", texts=texts, input_type="search_document",
                              embedding_types=["float", "base64", "int8", "uint8", "binary", "ubinary"])
        expected = requests.post(self.service.url + "/encode", json={"texts": texts}).json()["text_embeddings"]
        vectors = answer.embeddings
        self.assertEqual(answer.texts, texts)
        self.assertEqual(vectors.float_, expected)
        for i, vector in enumerate(expected):
            raw = base64.b64decode(vectors.base64[i])
            self.assertEqual(list(struct.unpack(f"<{len(vector)}f", raw)), vector)
            bits = "".join(f"{byte:08b}" for byte in vectors.ubinary[i])
            self.assertEqual(bits[:len(vector)], "".join("1" if x > 0 else "0" for x in vector))
            self.assertEqual(vectors.binary[i], [byte - 128 for byte in vectors.ubinary[i]])
            self.assertEqual(vectors.uint8[i], [x + 128 for x in vectors.int8[i]])
            for integer, x in zip(vectors.int8[i], vector):
                # Half a step of rounding, and a float32's own.
                self.assertAlmostEqual(integer, x * 127 / max(map(abs, vector)), delta=0.5 + 127 * 2**-22)
        png = "data:image/png;base64," + base64.b64encode((DATA / "rgb.png").read_bytes()).decode()
        answer = client.embed(model="medimageinsight", images=[png], input_type="image", embedding_types=["float"])
        expected = requests.post(self.service.url + "/encode", json={"images": [png]}).json()["image_embeddings"]
        self.assertEqual(answer.embeddings.float_, expected)
        with self.assertRaises(cohere.NotFoundError):
            client.embed(model="other", texts=texts, input_type="classification", embedding_types=["float"])
        with self.assertRaises(cohere.BadRequestError):
            client.embed(model="medimageinsight", texts=texts, images=[png], input_type="classification",
                         embedding_types=["float"])

    def test_cohere_takes_dicom_and_nifti(self):
        seeds = pathlib.Path(__file__).resolve().parents[2] / "fuzz" / "seeds"
        client = cohere.ClientV2(api_key="none", base_url=self.service.url + "/providers/microsoft")
        for path, media_type in [(seeds / "fuzz_dicom" / "explicit-little.dcm", "application/dicom"),
                                 (seeds / "fuzz_nifti" / "int16.nii.gz", "application/gzip")]:
            data = base64.b64encode(path.read_bytes()).decode()
            answer = client.embed(model="medimageinsight", images=[f"data:{media_type};base64,{data}"],
                                  input_type="image", embedding_types=["float"])
            expected = requests.post(self.service.url + "/encode", json={"images": [data]}).json()
            self.assertEqual(answer.embeddings.float_, expected["image_embeddings"], path.name)

    def test_forms_of_curl(self):
        expected = requests.post(self.service.url + "/predict", json={
            "images": [base64.b64encode((DATA / "rgb.png").read_bytes()).decode()], "labels": ["CT", "X-Ray"]}).text
        form = subprocess.run(["curl", "-sS", "-F", f"images=@{DATA / 'rgb.png'}", "-F", "labels=CT", "-F",
                               "labels=X-Ray", self.service.url + "/predict"], capture_output=True, text=True)
        self.assertEqual(form.stdout, expected, form.stderr)
        raw = subprocess.run(["curl", "-sS", "--data-binary", f"@{DATA / 'rgb.png'}", "-H", "Content-Type: image/png",
                              self.service.url + "/predict?labels=CT&labels=X-Ray"], capture_output=True, text=True)
        self.assertEqual(raw.stdout, expected, raw.stderr)

    def test_dicom_as_a_file_and_as_base64(self):
        path = pathlib.Path(__file__).resolve().parents[2] / "fuzz" / "seeds" / "fuzz_dicom" / "explicit-little.dcm"
        if not path.exists():
            self.skipTest("this tree reads no DICOM")
        form = subprocess.run(["curl", "-sS", "-F", f"images=@{path}", "-F", "labels=CT", "-F", "labels=X-Ray",
                               self.service.url + "/predict"], capture_output=True, text=True)
        self.assertEqual(len(json.loads(form.stdout)["predictions"]), 1, form.stdout)
        text = base64.encodebytes(path.read_bytes()).decode()
        json_body = requests.post(self.service.url + "/predict", json={"images": [text], "labels": ["CT", "X-Ray"]})
        self.assertEqual(json_body.text, form.stdout)

    def test_schemathesis_finds_nothing(self):
        tool = pathlib.Path(sys.executable).with_name("schemathesis")
        if not tool.exists():
            self.skipTest("no schemathesis beside this Python")
        # No schema can say that base64 holds a picture, so that what fits it may still be refused.
        # In a folder of its own: it would replay what earlier runs kept in the current one.
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        run = subprocess.run([tool, "run", self.service.url + "/openapi.json", "--max-examples", "25", "--exclude-checks",
                              "positive_data_acceptance", "--request-timeout", "60", "--seed", "1",
                              "--generation-database", "none", "--no-color"], capture_output=True, text=True, timeout=500, cwd=folder)
        self.assertEqual(run.returncode, 0, run.stdout[-6000:] + run.stderr[-2000:])
        self.assertEqual(requests.get(self.service.url + "/health").status_code, 200)


unittest.main(verbosity=2)
