"""Beside PyTorch, whichever is imported first. Skipped where PyTorch is not installed."""
import subprocess
import sys

import numpy as np
import pytest

import medimageinsight as mii

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("order", ["torch, medimageinsight", "medimageinsight, torch"])
def test_both_orders_of_importing_compute_the_same_and_do_not_fight(order, images):
    program = f"""
import {order}, sys, time
import medimageinsight as mii

def best(work):
    work()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)

engine = mii.Engine.open(mii.starter_path(), precision="f32")
image = mii.read_image({str(images / 'rgb.png')!r})
matrix = torch.randn(768, 768)
ours, theirs = (lambda: engine.encode_images(image)), (lambda: matrix @ matrix)
apart = best(ours) + best(theirs)
print(best(lambda: (theirs(), ours())) / apart, float(engine.encode_images(image)[0, 0]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    ratio, first = map(float, done.stdout.split())
    assert first == mii.Engine.open(mii.starter_path(), precision="f32").encode_images(images / "rgb.png")[0, 0]
    # Two teams of threads that spin against each other take many times as long.
    assert ratio < 3


def test_tensors_are_images_and_vectors_are_tensors(engine, rgb):
    vectors = engine.encode_images(torch.from_numpy(rgb))
    np.testing.assert_array_equal(vectors, engine.encode_images(rgb))
    turned = torch.from_numpy(rgb).permute(2, 0, 1)
    np.testing.assert_array_equal(engine.encode_images(turned.permute(1, 2, 0)), vectors)
    assert engine.encode_images(torch.zeros(2, 8, 8, 3, dtype=torch.uint8)).shape == (2, engine.dim)
    grey = torch.rand(20, 20, requires_grad=True)
    np.testing.assert_array_equal(engine.encode_images(grey), engine.encode_images(grey.detach().numpy()))
    tensor = torch.from_dlpack(vectors)
    tensor[0, 0] = 7
    assert vectors[0, 0] == 7  # the same memory
    with pytest.raises(mii.errors.InvalidInput, match="transpose"):
        engine.encode_images(turned)
    with pytest.raises(mii.errors.InvalidInput, match="cannot be read"):
        engine.encode_images(torch.zeros(8, 8, dtype=torch.bfloat16))


def test_a_dataset_is_loaded_in_workers(engine, rgb):
    images = [np.roll(rgb, i, axis=0) for i in range(10)]
    dataset = mii.as_torch_dataset(engine, images, list(range(10)))
    batches = list(torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=1))
    np.testing.assert_array_equal(torch.cat([vectors for vectors, _ in batches]), engine.encode_images(images))
    assert torch.cat([targets for _, targets in batches]).tolist() == list(range(10))
    assert len(mii.as_torch_dataset(engine, images)) == 10
    with pytest.raises(ValueError, match="10 images and 9 targets"):
        mii.as_torch_dataset(engine, images, range(9))
