"""The image tower in PyTorch, as a peer to compare with: its vectors and its speed, eager and compiled.

usage: gpu_peer.py MODEL_FOLDER --image FILE.npy [--vectors FILE.npy] [--batch N] [--seconds S] [--device cuda|cpu]

FILE.npy holds [height, width, 3] bytes at the model's input size. Prints one JSON object. With --vectors, another
program's vector of that image is compared with PyTorch's in float32.
"""
import argparse
import json
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def split(self, x):
        b, n, c = x.shape
        return self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)


class WindowAttention(Attention):
    def __init__(self, dim, heads, window):
        super().__init__(dim, heads)
        self.window = window

    def forward(self, x, h, w):
        b, _, c = x.shape
        s = self.window
        x = F.pad(x.view(b, h, w, c), (0, 0, 0, -w % s, 0, -h % s))
        down, across = x.shape[1] // s, x.shape[2] // s
        x = x.view(b, down, s, across, s, c).transpose(2, 3).reshape(-1, s * s, c)
        q, k, v = self.split(x)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, s * s, c)
        x = self.proj(x).view(b, down, across, s, s, c).transpose(2, 3).reshape(b, down * s, across * s, c)
        return x[:, :h, :w].reshape(b, h * w, c)


class ChannelAttention(Attention):
    def forward(self, x, h, w):
        b, n, c = x.shape
        q, k, v = self.split(x)
        weights = ((q * n**-0.5).transpose(-1, -2) @ k).softmax(-1)
        return self.proj((weights @ v.transpose(-1, -2)).transpose(-1, -2).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, dim, attention):
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attention = attention
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    @staticmethod
    def convolve(conv, x, h, w):
        return x + conv(x.transpose(1, 2).view(len(x), -1, h, w)).flatten(2).transpose(1, 2)

    def forward(self, x, h, w):
        x = self.convolve(self.conv1, x, h, w)
        x = x + self.attention(self.norm1(x), h, w)
        x = self.convolve(self.conv2, x, h, w)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Tower(nn.Module):
    """Published settings only: convolutions in every block, scale by the number of tokens."""

    def __init__(self, config):
        super().__init__()
        spec = config["IMAGE_ENCODER"]["SPEC"]
        dims = spec["DIM_EMBED"]
        self.convs, self.norms, self.blocks, self.prenorm = nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), []
        for s, dim in enumerate(dims):
            before = 3 if s == 0 else dims[s - 1]
            self.convs.append(nn.Conv2d(before, dim, spec["PATCH_SIZE"][s], spec["PATCH_STRIDE"][s],
                                        spec["PATCH_PADDING"][s]))
            self.prenorm.append(spec["PATCH_PRENORM"][s])
            self.norms.append(nn.LayerNorm(before if self.prenorm[s] else dim))
            pairs = []
            for _ in range(spec["DEPTHS"][s]):
                pairs.append(Block(dim, WindowAttention(dim, spec["NUM_HEADS"][s], spec.get("WINDOW_SIZE", 7))))
                pairs.append(Block(dim, ChannelAttention(dim, spec["NUM_GROUPS"][s])))
            self.blocks.append(nn.ModuleList(pairs))
        self.norm = nn.LayerNorm(dims[-1])
        self.projection = nn.Parameter(torch.empty(dims[-1], config["UNICL_MODEL"]["DIM_PROJECTION"]))

    def forward(self, images):
        """images: [B, 3, H, W], scaled. Returns unit vectors."""
        x, h, w = images, *images.shape[2:]
        for conv, norm, prenorm, blocks in zip(self.convs, self.norms, self.prenorm, self.blocks):
            if prenorm:
                x = norm(x).transpose(1, 2).reshape(len(x), -1, h, w)
            x = conv(x)
            h, w = x.shape[2:]
            x = x.flatten(2).transpose(1, 2)
            if not prenorm:
                x = norm(x)
            for block in blocks:
                x = block(x, h, w)
        return F.normalize(self.norm(x.mean(1)) @ self.projection, dim=-1)

    def read(self, tensors):
        def copy(module, prefix):
            module.weight.data.copy_(tensors[prefix + ".weight"])
            module.bias.data.copy_(tensors[prefix + ".bias"])

        for s, blocks in enumerate(self.blocks):
            copy(self.convs[s], f"image_encoder.convs.{s}.proj")
            copy(self.norms[s], f"image_encoder.convs.{s}.norm")
            for i, block in enumerate(blocks):
                kind, attention = (("spatial_block", "window_attn"), ("channel_block", "channel_attn"))[i % 2]
                prefix = f"image_encoder.blocks.{s}.{i // 2}.{kind}"
                for name, at in {"conv1": "conv1.fn.dw", "conv2": "conv2.fn.dw", "norm1": attention + ".norm",
                                 "attention.qkv": attention + ".fn.qkv", "attention.proj": attention + ".fn.proj",
                                 "norm2": "ffn.norm", "fc1": "ffn.fn.net.fc1", "fc2": "ffn.fn.net.fc2"}.items():
                    copy(block.get_submodule(name), f"{prefix}.{at}")
        copy(self.norm, "image_encoder.norms")
        self.projection.data.copy_(tensors["image_projection"])


def open_tower(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    tower = Tower(config).eval()
    tower.read(load_file(next((folder / "vision_model").iterdir())))
    encoder = config["IMAGE_ENCODER"]
    return tower, torch.tensor(encoder["IMAGE_MEAN"]), torch.tensor(encoder["IMAGE_STD"])


def images_per_second(run, images, device, seconds):
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        run(images)
    wait()
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run(images)
        wait()
        n += len(images)
    return n / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--image", required=True)
    parser.add_argument("--vectors")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--device", default="cuda")
    flags = parser.parse_args()
    tower, mean, std = open_tower(flags.model)
    tower = tower.to(flags.device)
    image = (torch.from_numpy(np.load(flags.image)) / 255 - mean) / std
    image = image.permute(2, 0, 1)[None].to(flags.device)
    result = {"torch": torch.__version__}
    with torch.inference_mode():
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        if flags.vectors:
            ours = torch.from_numpy(np.load(flags.vectors)).reshape(1, -1)
            theirs = tower(image).cpu()
            result["largest difference in float32"] = (ours - theirs).abs().max().item()
            result["1 - cosine"] = 1 - F.cosine_similarity(ours.double(), theirs.double()).item()
        tower = tower.to(torch.bfloat16)
        images = image.to(torch.bfloat16).repeat(flags.batch, 1, 1, 1)
        result["eager bf16, images/s"] = images_per_second(tower, images, flags.device, flags.seconds)
        print(json.dumps(result), flush=True)  # what is known if compiling takes too long
        compiled = torch.compile(tower)
        result["compiled bf16, images/s"] = images_per_second(compiled, images, flags.device, flags.seconds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
