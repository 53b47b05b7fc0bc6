"""The reference's three routes and models with a model that computes nothing: what clients see of FastAPI.

Run by compatibility_test.py with fastapi 0.115.4 and pydantic 2.9.2."""
import base64
import io
import sys
from typing import List, Optional

import uvicorn
from fastapi import FastAPI, HTTPException
from PIL import Image
from pydantic import BaseModel

app = FastAPI()


class ClassificationRequest(BaseModel):
    images: List[str]
    labels: List[str]
    multilabel: bool = False


class EmbeddingRequest(BaseModel):
    images: Optional[List[str]] = None
    texts: Optional[List[str]] = None


def decode(text):
    try:
        if "," in text:
            text = text.split(",", 1)[1]
        return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    except Exception as error:
        raise ValueError(f"Failed to process image: {error}")


@app.post("/predict")
async def predict(request: ClassificationRequest):
    try:
        if not request.labels:
            raise ValueError("No labels provided")
        images = [decode(image) for image in request.images]
        return {"predictions": [{label: 1 / len(request.labels) for label in request.labels} for _ in images]}
    except Exception as error:
        raise HTTPException(status_code=500, detail=str(error))


@app.post("/encode")
async def encode(request: EmbeddingRequest):
    try:
        if not request.images and not request.texts:
            raise ValueError("You must provide either images or texts")
        images = [decode(image) for image in request.images or []]
        return {
            "image_embeddings": [[0.5] * 4 for _ in images] if images else None,
            "text_embeddings": [[0.5] * 4 for _ in request.texts] if request.texts else None,
        }
    except Exception as error:
        raise HTTPException(status_code=500, detail=str(error))


@app.get("/health")
async def health():
    return {"status": "healthy"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
