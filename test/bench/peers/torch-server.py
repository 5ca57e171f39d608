"""Embeddings over HTTP as one writes them with PyTorch, transformers, FastAPI and Uvicorn.

python torch-server.py WEIGHTS

POST /embed takes a JPEG as body and answers {"embedding": [...]}. Images are decoded and scaled in
Starlette's threads; one at a time goes through the network, which has all cores: several at once would
take them from each other.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import threading

import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image
from transformers import BitImageProcessor, ViTModel

torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
processor = BitImageProcessor.from_pretrained(sys.argv[1])
model = ViTModel.from_pretrained(sys.argv[1], add_pooling_layer=False).eval()
interpolate = processor.crop_size["height"] != model.config.image_size
turn = threading.Lock()
app = FastAPI()


@torch.inference_mode()
def embed(body: bytes) -> list[float]:
    image = Image.open(io.BytesIO(body)).convert("RGB")
    pixels = processor(image, return_tensors="pt").pixel_values
    with turn:
        tokens = model(pixels, interpolate_pos_encoding=interpolate).last_hidden_state
    return torch.nn.functional.normalize(tokens[0, 0], dim=0).tolist()


@app.post("/embed")
async def post(request: Request) -> dict[str, list[float]]:
    return {"embedding": await run_in_threadpool(embed, await request.body())}


with socket.socket() as listening:
    listening.bind(("127.0.0.1", 0))
    print(f"ready http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
