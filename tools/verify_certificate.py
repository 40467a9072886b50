#!/usr/bin/env python3
"""Checks a robustness certificate of an l-infinity-distance net, with Python and numpy alone.

    verify_certificate.py FILE [--data DIR] [--images NPZ] [--samples N] [--skip-radius] [--skip-real] [--quiet]

The file (docs/certificate.md) holds a net, the checksum of the images it speaks of, and claims: which class the net
gives each image, and within which radius no perturbation changes that class. This program shares no code with the one
that wrote the file; it recomputes every claim. Exit code: 0 the certificate holds, 1 it does not, 2 nothing could be
checked.

Why the bounds are proofs. The claims are about the net as it is executed, in float32, rounding included. IEEE rounding
is monotone: a <= b implies fl(a) <= fl(b). All that a distance layer does is x - w (monotone in x), an absolute value
and a maximum (both exact), and the subtraction of a mean; so the same float32 operations applied to the ends of an
interval enclose what they give anywhere within it, with nothing to add. Sort neurons add float32 products with weights
>= 0 in a fixed order: the same argument. Only the end of a net with a head needs error terms; see `tanh` and `leads`.

What to read: the proof is in the sections on the input boxes, the net on intervals and the head, and in `proves`; the
rest reads files and compares.

What is trusted: numpy's float32 and float64 +, -, *, / round correctly, as IEEE 754 demands; its float64 tanh is right
within 2^-50; SHA-256. Samples are counted from 0.
"""
import argparse
import gzip
import hashlib
import json
import math
import os
import re
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

try:
    import numpy as np
except ImportError:
    print("nothing was checked: this needs numpy (python3 -m pip install numpy)", file=sys.stderr)
    sys.exit(2)


class Rejected(Exception):
    """The file is not a certificate that can hold: exit code 1."""


class Unusable(Exception):
    """Nothing can be checked, through no fault of the certificate: exit code 2."""


def need(condition: Any, reason: str) -> None:
    if not condition:
        raise Rejected(reason)


# ------------------------------------------------------------------------------------------------------------- the file

MOST_HEADER = 64 << 20
MOST_SIZE = 1 << 24  # of anything a layer computes from one image: keeps the memory of a made-up net bounded
TYPES: Dict[str, Any] = {"F32": np.dtype("<f4"), "I32": np.dtype("<i4"), "U8": np.dtype("u1"),
                          "U16": np.dtype("<u2")}


def parse_json(text: bytes, what: str) -> Any:
    def unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        for name, value in pairs:
            need(name not in found, f"{what} names {name!a} twice")
            found[name] = value
        return found

    def short(digits: str) -> int:
        need(len(digits) <= 20, f"{what} holds a number of {len(digits)} digits")
        return int(digits)

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_int=short)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{what} is not JSON: {error}") from None


def fields(value: Any, what: str, *names: str) -> List[Any]:
    """The values of an object that has these keys and no other."""
    need(type(value) is dict, f"{what} is not a JSON object")
    for name in names:
        need(name in value, f"{what} has no {name!r}")
    for name in value:
        need(name in names, f"{what} has an unknown entry {name!a}")
    return [value[name] for name in names]


def whole(value: Any, what: str, least: int, most: int) -> int:
    need(type(value) is int, f"{what} is not a whole number")  # type(): True is no number here
    need(least <= value <= most, f"{what} is {value}, not within {least} .. {most}")
    return value


def read_tensors(path: Path) -> Tuple[Dict[str, np.ndarray], bytes]:
    """The tensors of a safetensors file by name, and the text under `certificate` in its metadata."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            need(size >= 8, f"the file is truncated: {size} bytes are no safetensors file")
            need(length <= MOST_HEADER, f"the header's length is {length} bytes, above the {MOST_HEADER} allowed")
            need(length <= size - 8, f"the file is truncated: a header of {length} bytes, {size - 8} there")
            text, body = file.read(length), file.read()
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    header = parse_json(text, "the header")
    need(type(header) is dict and "__metadata__" in header, "the header has no '__metadata__'")
    (certificate,) = fields(header.pop("__metadata__"), "the metadata", "certificate")
    need(type(certificate) is str, "the metadata's certificate is not a text")

    places = []
    for name, entry in header.items():
        kind, shape, offsets = fields(entry, f"tensor {name!a}", "dtype", "shape", "data_offsets")
        what = f"tensor {name!a}"
        need(type(kind) is str and kind in TYPES, f"{what}: its type {kind!a} is not one of {', '.join(TYPES)}")
        need(type(shape) is list and len(shape) in (1, 2), f"{what}: its shape is not one or two sizes")
        need(type(offsets) is list and len(offsets) == 2, f"{what}: its offsets are not two numbers")
        shape = [whole(side, f"{what}: a side of its shape", 1, len(body)) for side in shape]
        begin, end = [whole(offset, f"{what}: an offset", 0, len(body)) for offset in offsets]
        takes = math.prod(shape) * TYPES[kind].itemsize
        need(end - begin == takes, f"{what}: {kind} {shape} takes {takes} bytes, its offsets hold {end - begin}")
        places.append((begin, end, name, kind, shape))
    at, tensors = 0, {}
    for begin, end, name, kind, shape in sorted(places):
        need(begin == at, f"tensor {name!a} begins at byte {begin}, but the one before it ends at {at}")
        values = np.frombuffer(body, TYPES[kind], math.prod(shape), begin).reshape(shape)
        tensors[name] = np.require(values, TYPES[kind].newbyteorder("="), ["A", "C"])
        need(kind != "F32" or np.isfinite(tensors[name]).all(), f"tensor {name!a} holds a value that is not finite")
        at = end
    need(at == len(body), f"{len(body) - at} bytes trail behind the last tensor")
    return tensors, certificate.encode("utf-8", "surrogatepass")


# ------------------------------------------------------------------------------------------------------ the certificate


@dataclass(frozen=True)
class Layer:
    """A distance layer: planes `input` [C, H, W] to planes `output` [O, H', W']."""

    input: Tuple[int, int, int]
    output: Tuple[int, int, int]
    groups: int
    kernel: int
    stride: int
    pad: int
    dilation: int
    weight: np.ndarray  # [O, C/G*k*k]
    mean: Optional[np.ndarray]  # [O]
    profile: Optional[np.ndarray]  # [K]: sort neurons


@dataclass(frozen=True)
class Linear:
    weight: np.ndarray  # [outputs, inputs]
    bias: np.ndarray
    scale: np.float32


@dataclass(frozen=True)
class Certificate:
    by: str
    data: str
    samples: int
    images_sha256: str
    labels_sha256: str
    crop: Optional[int]  # the side of the window that the net sees in the middle of each image
    layers: List[Layer]
    bias: Optional[np.ndarray]  # of a net without a head
    head: Optional[Tuple[Linear, Linear]]
    mean: np.ndarray  # [C], normalisation
    scale: np.float32
    threat: str
    eps: Fraction
    denominator: int
    counts: Tuple[int, int]  # clean, certified
    weights_sha256: Tuple[str, str]  # claimed, found
    classes: int
    label: np.ndarray
    prediction: np.ndarray
    certified: np.ndarray
    radius: np.ndarray

    def net(self) -> str:
        names = [str(math.prod(self.layers[0].input))]
        for layer in self.layers:
            window = f"c{layer.kernel}" if layer.input[1:] != (1, 1) else ""
            stride = f"/{layer.stride}" if layer.stride > 1 else ""
            names.append(f"{layer.output[0]}{window}{stride}" + ("s" if layer.profile is not None else ""))
        return "-".join(names + ([f"{len(self.head[0].bias)}t-{self.classes}"] if self.head else []))


def read_certificate(path: Path) -> Certificate:
    tensors, text = read_tensors(path)
    stated = parse_json(text, "the certificate")
    known = type(stated) is dict and repr(stated.get("format")) == "1"
    need(known, "its format is not 1, the one that this verifier knows")
    (_, program, run, step, data, net, threat, eps, denominator, counts, weights_sha256) = fields(
        stated, "the certificate", "format", "program", "run", "step", "dataset", "net", "threat", "eps",
        "radius_denominator", "counts", "weights_sha256")
    need(type(program) is str and type(run) is str, "'program' or 'run' is not a text")
    side = data.pop("crop", None) if type(data) is dict else None
    need(side is None or whole(side, "'crop'", 1, MOST_SIZE), "'crop' is not a side in pixels")
    name, split, samples, *sums = fields(
        data, "'dataset'", "name", "split", "samples", "images_sha256", "labels_sha256")
    need(type(name) is str and split == "test", "'dataset' is not the test images of a named data set")
    for digest in (*sums, weights_sha256):
        need(type(digest) is str and re.fullmatch("[0-9a-f]{64}", digest), f"{digest!a} is not a SHA-256 in lower case")
    need(threat in ("real", "8-bit"), f"the threat {threat!a} is not 'real' or '8-bit'")
    need(type(eps) is str and re.fullmatch("[0-9]{1,20}/0*[1-9][0-9]{0,19}", eps), f"eps {eps!a} is not a fraction")
    need(Fraction(eps) <= 1, f"eps {eps} is above 1")
    whole(step, "'step'", 0, 1 << 63)
    whole(samples, "'samples'", 1, 1 << 31)
    whole(denominator, "'radius_denominator'", 1, 1 << 31)
    clean, certified = fields(counts, "'counts'", "clean", "certified")
    weights = hashlib.sha256()
    for key in sorted(key for key in tensors if not key.startswith("claim.")):
        weights.update(tensors[key].astype(tensors[key].dtype.newbyteorder("<")).tobytes())

    def take(key: str, kind: str, *shape: int) -> np.ndarray:
        need(key in tensors, f"tensor {key!r} is missing")
        value = tensors.pop(key)
        found, wanted = f"{value.dtype} {list(value.shape)}", f"{TYPES[kind].newbyteorder('=')} {list(shape)}"
        need(found == wanted, f"tensor {key!r} is {found}, not {wanted}")
        return value

    def length(key: str) -> int:
        """Of a tensor whose size the metadata leaves open. If it is missing, `take` tells."""
        return len(tensors.get(key, ()))

    def positive(key: str) -> np.float32:
        need((value := take(key, "F32", 1)[0]) > 0, f"{key} is not above 0")
        return value

    described, end = fields(net, "'net'", "layers", "end")
    need(type(described) is list and described, "'net' has no layers")
    need(end in ("distances", "head"), f"the net's end {end!a} is not 'distances' or 'head'")
    layers: List[Layer] = []
    for index, entry in enumerate(described):
        before = layers[-1].output if layers else None
        has_mean = end == "head" or index < len(described) - 1
        layers.append(read_layer(index, entry, before, take, length, has_mean))
    if end == "distances":
        classes, head, rows = layers[-1].output[0], None, layers[-1].output[1:]
        need(rows == (1, 1), "the net ends in distances at more than one position")
        bias = take("bias", "F32", classes)
    else:
        bias, inputs, parts = None, math.prod(layers[-1].output), []
        for key in ("head.hidden", "head.classes"):
            outputs = length(f"{key}.weight")
            weight, offset = take(f"{key}.weight", "F32", outputs, inputs), take(f"{key}.bias", "F32", outputs)
            parts.append(Linear(weight, offset, positive(f"{key}.scale")))
            inputs = outputs
        head, classes = (parts[0], parts[1]), inputs
    need(2 <= classes <= 1 << 16, f"{classes} classes: labels have 16 bits at most")
    numbers = label_kind(classes)
    mean, scale = take("normalize.mean", "F32", length("normalize.mean")), positive("normalize.scale")
    claims = [take(f"claim.{key}", kind, samples)
              for key, kind in (("label", numbers), ("prediction", numbers), ("certified", "U8"), ("radius", "I32"))]
    take("claim.margin", "F32", samples)
    need(not tensors, f"tensor {min(tensors, default='')!a} does not belong to this net")
    label, prediction, flags, radius = claims
    need((label < classes).all() and (prediction < classes).all(), f"a label or a prediction is not below {classes}")
    need((flags <= 1).all(), "claim.certified holds a value that is neither 0 nor 1")
    need(((radius >= -1) & (radius <= denominator)).all(), f"a radius is not within -1 .. {denominator}")
    return Certificate(
        by=f"{program!a}, run {run!a}, step {step}", data=name, samples=samples, images_sha256=sums[0],
        labels_sha256=sums[1], crop=side, layers=layers, bias=bias, head=head, mean=mean, scale=scale, threat=threat,
        eps=Fraction(eps), denominator=denominator, counts=(whole(clean, "counts.clean", 0, samples),
        whole(certified, "counts.certified", 0, samples)), classes=classes, label=label, prediction=prediction,
        certified=flags, radius=radius, weights_sha256=(weights_sha256, weights.hexdigest()))


def label_kind(classes: int) -> str:
    """How labels are held, in the file and under their checksum: bytes, as long as a byte can number the classes."""
    return "U8" if classes <= 256 else "U16"


def read_layer(index: int, entry: Any, before: Optional[tuple], take: Any, length: Any, has_mean: bool) -> Layer:
    what = f"layer {index}"
    planes, outputs, *rest = fields(entry, what, "input", "outputs", "groups", "kernel", "stride", "pad", "dilation")
    need(type(planes) is list and len(planes) == 3, f"{what}: its input is not [C, H, W]")
    channels, height, width = [whole(side, f"{what}: a side of its input", 1, MOST_SIZE) for side in planes]
    whole(outputs, f"{what}: outputs", 1, MOST_SIZE)
    for key, value in zip(("groups", "kernel", "stride", "pad", "dilation"), rest):
        whole(value, f"{what}: {key}", 0 if key == "pad" else 1, MOST_SIZE)
    groups, kernel, stride, pad, dilation = rest
    need(channels % groups == 0 == outputs % groups, f"{what}: {groups} groups do not divide {channels} and {outputs}")
    # Flat layers count the planes before them by (channel, row, column); all others take them as they are.
    fits = before in (None, (channels, height, width)) or (height == width == 1 and math.prod(before) == channels)
    need(fits, f"{what} takes {planes}, but the layer before it gives {list(before or ())}")
    room = [side + 2 * pad - dilation * (kernel - 1) - 1 for side in (height, width)]
    need(min(room) >= 0, f"{what}: its window does not fit its input")
    output = (outputs, room[0] // stride + 1, room[1] // stride + 1)
    patch = channels // groups * kernel * kernel
    padded, positions = channels * (height + 2 * pad) * (width + 2 * pad), output[1] * output[2]
    values = max(padded, positions * groups * patch, positions * outputs)
    need(values <= MOST_SIZE, f"{what} needs {values} values an image, above the {MOST_SIZE} allowed")
    weight = take(f"layer.{index}.weight", "F32", outputs, patch)
    mean = take(f"layer.{index}.mean", "F32", outputs) if has_mean else None
    profile = None
    count = length(f"layer.{index}.profile")
    if 0 < count <= patch:  # one of another length stays behind, as a tensor that does not belong to the net
        profile = take(f"layer.{index}.profile", "F32", count)
        need((profile >= 0).all(), f"layer.{index}.profile has a weight below 0: nothing is known of such a neuron")
    return Layer((channels, height, width), output, groups, kernel, stride, pad, dilation, weight, mean, profile)


# ----------------------------------------------------------------------------------------------------------- the images


@dataclass(frozen=True)
class DataSet:
    shape: Tuple[int, int, int]
    classes: int
    mean: Tuple[float, ...]
    std: float
    # SHA-256 of all test images [N, C, H, W] and of their labels, in the order of the public files.
    images: Optional[str] = None
    labels: Optional[str] = None


KNOWN = {
    "mnist": DataSet((1, 28, 28), 10, (0.1307,), 0.3081,
                     "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
                     "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
    "fashion-mnist": DataSet((1, 28, 28), 10, (0.2860,), 0.3520,
                             "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
                             "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"),
    "cifar10": DataSet((3, 32, 32), 10, (0.4914, 0.4822, 0.4465), 0.2009,
                       "177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
                       "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"),
    "cifar100": DataSet((3, 32, 32), 100, (0.5071, 0.4867, 0.4408), 0.2667),
    "tiny-imagenet": DataSet((3, 64, 64), 200, (0.4802, 0.4481, 0.3975), 0.2276),
    "imagenet64": DataSet((3, 64, 64), 1000, (0.4815, 0.4578, 0.4082), 0.2128),
    "synthetic": DataSet((1, 28, 28), 10, (0.1307,), 0.3081),
}


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of bytes, raw or gzipped: the magic number, a big-endian size for each dimension, the bytes."""
    packed = Path(f"{path}.gz")
    raw = path.is_file() or not packed.is_file()  # neither: the error names the raw one
    content = path.read_bytes() if raw else gzip.decompress(packed.read_bytes())
    sizes = [int.from_bytes(content[at:at + 4], "big") for at in range(4, 4 + 4 * dimensions, 4)]
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) != 4 + 4 * dimensions + math.prod(sizes):
        raise Unusable(f"{path} is not the IDX file it should be")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(sizes)


def read_images(name: str, data: Path, npz: Optional[Path]) -> Tuple[np.ndarray, np.ndarray]:
    """All test images [N, C, H, W] of a data set, raw bytes, and their labels [N]."""
    try:
        if npz is not None:
            with np.load(npz, allow_pickle=False) as arrays:
                images, labels = arrays["images"], arrays["labels"]
        elif name in ("mnist", "fashion-mnist"):
            images = read_idx(data / name / "t10k-images-idx3-ubyte", 3)[:, None]
            labels = read_idx(data / name / "t10k-labels-idx1-ubyte", 1)
        elif name == "cifar10":
            records = np.fromfile(data / name / "test_batch.bin", np.uint8).reshape(-1, 1 + 3 * 32 * 32)
            images, labels = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
        else:
            raise Unusable(f"give the images of the data set {name!a} with --images")
    except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise Unusable(f"the images cannot be read: {error}") from None
    if images.dtype != np.uint8 or labels.dtype not in (np.uint8, np.uint16) or images.ndim != 4 or \
            labels.shape != images.shape[:1]:
        raise Unusable("the images must be bytes [N, C, H, W] and the labels bytes or 16-bit numbers [N]")
    return images, labels


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def middle(images: np.ndarray, side: Optional[int]) -> np.ndarray:
    """The window in the middle of each image; of an odd rest the smaller half lies before it."""
    height, width = images.shape[2:]
    if side is None or side > min(height, width):
        return images
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(images[:, :, top:top + side, left:left + side])


def check_images(of: Certificate, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What the net sees of the images the certificate speaks of. With other images no claim can be looked at."""
    known, whole_images = KNOWN.get(of.data), images
    images = middle(images, of.crop)
    if known:
        need(of.crop is None or of.crop < known.shape[1], f"a window of {of.crop} pixels is no part of {of.data}'s images")
    if known and known.images and whole_images.shape[2:] != (of.crop, of.crop):
        need(sha256(whole_images) == known.images, f"the images are not the public test images of {of.data}")
        need(sha256(labels) == known.labels, f"the labels are not the public test labels of {of.data}")
    need(len(images) >= of.samples, f"the certificate speaks of {of.samples} images, but there are {len(images)}")
    need(sha256(images[:of.samples]) == of.images_sha256, "the images are not those of images_sha256")
    need(sha256(labels[:of.samples]) == of.labels_sha256, "the labels are not those of labels_sha256")
    shape = images.shape[1:]
    window = of.crop or (known.shape[1] if known else 0)
    need(known is None or (shape, of.classes) == ((known.shape[0], window, window), known.classes),
         f"the net is not one for {of.data}")
    need(of.layers[0].input in (shape, (math.prod(shape), 1, 1)), f"the net does not take images {list(shape)}")
    need(len(of.mean) == shape[0], f"normalize.mean has {len(of.mean)} channels, the images {shape[0]}")
    return images


# ------------------------------------------------------------------------------------------------------ the input boxes


def directed(n: int, d: int, up: bool, kind: Any = np.float32) -> Any:
    """The largest float not above n/d or, up, the smallest not below it, exactly; d > 0."""
    value = kind(n / d)  # Python rounds n/d correctly, so this is one of the two
    p, q = value.as_integer_ratio()
    if p * d < n * q if up else p * d > n * q:
        value = np.nextafter(value, kind(math.inf if up else -math.inf))
    return value


def exact_ends(u: int, eps: Fraction, threat: str) -> Tuple[Fraction, Fraction]:
    """The least and the greatest value within eps of the pixel u / 255."""
    if threat == "8-bit":
        steps = math.floor(255 * eps)
        return Fraction(max(u - steps, 0), 255), Fraction(min(u + steps, 255), 255)
    return max(Fraction(u, 255) - eps, Fraction(0)), min(Fraction(u, 255) + eps, Fraction(1))


def program_ends(of: Certificate, image: np.ndarray, eps: Fraction) -> np.ndarray:
    """The box around one image as the program reads it, normalised float32 [2, C, H, W].

    A real perturbation is rounded to float32 before the program sees it: rounding the ends outwards leaves none out.
    The normalisation is monotone, so it may be applied to the ends.
    """
    pixels = np.arange(256, dtype=np.float32) / np.float32(255)
    table = np.stack([pixels, pixels])
    if of.threat == "8-bit":
        steps = math.floor(255 * eps)
        table = pixels[np.clip([np.arange(256) - steps, np.arange(256) + steps], 0, 255)]
    elif eps > 0:
        a, b = 255 * eps.numerator, eps.denominator
        for u in np.unique(image).tolist():  # u / 255 -+ a / 255b = (u b -+ a) / 255b
            table[0, u] = directed(max(u * b - a, 0), 255 * b, up=False)
            table[1, u] = directed(min(u * b + a, 255 * b), 255 * b, up=True)
    return (table[:, image] - of.mean[:, None, None]) * of.scale


def real_tables(of: Certificate) -> np.ndarray:
    """The ends of the box of radius eps around each pixel value in exact arithmetic, float64 [2, C, 256]."""
    tables = np.empty((2, len(of.mean), 256))
    scale = Fraction(float(of.scale))
    for channel, mean in enumerate(of.mean.tolist()):
        for u in range(256):
            for end, value in enumerate(exact_ends(u, of.eps, of.threat)):
                n, d = ((value - Fraction(mean)) * scale).as_integer_ratio()
                tables[end, channel, u] = directed(n, d, bool(end), np.float64)
    return tables


# ------------------------------------------------------------------------------------------------- the net on intervals
#
# `ends` is an array [2, ...]: the lower and the upper ends of intervals; or [1, ...]: single values. In float32 all of
# this does what the program does, operation by operation. In float64 it encloses exact arithmetic over the same
# weights: `widen` moves the ends outwards after each operation that rounds. A maximum may be taken of rounded values
# and widened afterwards, as rounding is monotone.

TILE = 1 << 16


def widen(ends: np.ndarray) -> np.ndarray:
    if ends.dtype == np.float64:
        np.nextafter(ends[0], -np.inf, out=ends[0])
        np.nextafter(ends[1], np.inf, out=ends[1])
    return ends


def distances(ends: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """max over i of |x_i - w_i|: from rows [E, R, K] and weights [O, K] to [E, R, O]."""
    x, w = ends.reshape(-1, ends.shape[2]), np.ascontiguousarray(weight.T)
    most = np.full((len(x), w.shape[1]), -np.inf, x.dtype)  # max over i of x_i - w_i
    least = np.full_like(most, np.inf)  # min over i of it
    step = max(1, TILE // w.shape[1])  # so many rows at a time stay in the cache
    for start in range(0, len(x), step):
        columns = np.ascontiguousarray(x[start:start + step].T)[:, :, None]
        above, below = most[start:start + step], least[start:start + step]
        difference = np.empty_like(above)
        for x_i, w_i in zip(columns, w):
            np.subtract(x_i, w_i, out=difference)
            np.maximum(above, difference, out=above)
            np.minimum(below, difference, out=below)
    most, least = [side.reshape(len(ends), -1, w.shape[1]) for side in (most, least)]
    # |x - w| is at least l - w, w - u and 0, at most the greater of u - w and w - l; fl(w - u) = -fl(u - w) exactly.
    upper = np.maximum(most[-1], -least[0])
    lower = [np.maximum(np.maximum(most[0], -least[1]), 0)] if len(ends) == 2 else []
    return np.stack(lower + [upper])


def sorted_sums(ends: np.ndarray, weight: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Sum over k of c_k times the k-th largest |x_i - w_i|, added in the order of k; shapes as of `distances`."""
    (rows, inputs), outputs, count = ends.shape[1:], len(weight), len(profile)
    sums = np.zeros((len(ends), rows, outputs), ends.dtype)
    step_o = min(outputs, max(1, TILE // inputs))
    step_r = max(1, TILE // (inputs * step_o))
    for r in range(0, rows, step_r):
        for o in range(0, outputs, step_o):
            values = ends[:, r:r + step_r, None] - weight[o:o + step_o]
            if len(ends) == 2:
                nearest = np.maximum(np.maximum(values[0], -values[1]), 0)
                np.abs(values, out=values)
                values = np.stack([nearest, np.maximum(values[0], values[1])])
            else:
                np.abs(values, out=values)
            largest = np.partition(values, inputs - count, axis=-1)[..., inputs - count:]
            largest = widen(np.sort(largest, axis=-1)[..., ::-1])
            sum_ = np.zeros(values.shape[:3], values.dtype)
            for k in range(count):
                sum_ = widen(sum_ + widen(profile[k] * largest[..., k]))
            sums[:, r:r + step_r, o:o + step_o] = sum_
    return sums


def patches(x: np.ndarray, layer: Layer) -> np.ndarray:
    """What each neuron sees, in the order (channel, row, column): from [N, C, H, W] to [G, N*H'*W', C/G*k*k]."""
    (channels, _, _), (_, height, width), kernel = layer.input, layer.output, layer.kernel
    x = np.pad(x, [(0, 0), (0, 0), (layer.pad, layer.pad), (layer.pad, layer.pad)])
    span = layer.dilation * (kernel - 1) + 1
    seen = np.lib.stride_tricks.sliding_window_view(x, (span, span), axis=(2, 3))
    seen = seen[:, :, ::layer.stride, ::layer.stride, ::layer.dilation, ::layer.dilation]
    seen = seen.reshape(len(x), layer.groups, channels // layer.groups, height, width, kernel, kernel)
    return seen.transpose(1, 0, 3, 4, 2, 5, 6).reshape(layer.groups, len(x) * height * width, -1)


def features(of: Certificate, ends: np.ndarray) -> np.ndarray:
    """What the distance layers and the bias make of boxes of normalised images [E, B, C, H, W]: [E, B, values]."""
    count, batch, kind = len(ends), ends.shape[1], ends.dtype
    for layer in of.layers:
        patch = layer.weight.shape[1]
        rows = patches(ends.reshape(count * batch, *layer.input), layer).reshape(layer.groups, count, -1, patch)
        weights = layer.weight.astype(kind).reshape(layer.groups, -1, patch)
        if layer.profile is None:
            parts = [widen(distances(x, w)) for x, w in zip(rows, weights)]
        else:
            parts = [sorted_sums(x, w, layer.profile.astype(kind)) for x, w in zip(rows, weights)]
        values = np.concatenate(parts, axis=2)
        if layer.mean is not None:
            values = widen(values - layer.mean.astype(kind))
        outputs, height, width = layer.output
        ends = values.reshape(count, batch, height, width, outputs).transpose(0, 1, 4, 2, 3)
    ends = ends.reshape(count, batch, -1)
    return ends if of.bias is None else widen(ends + of.bias.astype(kind))


# ------------------------------------------------------------------------------------------------------------- the head


def linear(ends: np.ndarray, part: Linear) -> np.ndarray:
    """fl(fl(scale * s) + bias) with s <- fl(s + fl(w_k x_k)) in the order of k, [E, B, K] to [E, B, O].

    Each step is monotone in s and in x_k, in the direction of the sign of w_k. In float64 the error of all operations
    together is added, by Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: gamma_n times the sum of
    the magnitudes, with n the operations a term goes through.
    """
    kind, w = ends.dtype, np.ascontiguousarray(part.weight.T.astype(ends.dtype))
    sums = np.zeros((*ends.shape[:2], w.shape[1]), kind)
    for k, w_k in enumerate(w):
        products = ends[:, :, k, None] * w_k
        sums[0] += products.min(axis=0)
        if len(ends) == 2:
            sums[1] += products.max(axis=0)
    result = sums * kind.type(part.scale) + part.bias.astype(kind)
    if kind == np.float64:
        size = float(part.scale) * (np.abs(ends).max(axis=0) @ np.abs(w)) + np.abs(part.bias)
        error = (len(w) + 8) * 2.0**-52 * size + 1e-300  # twice gamma_n
        result = widen(np.stack([result[0] - error, result[1] + error]))
    return result


def tanh(ends: np.ndarray) -> np.ndarray:
    """An enclosure [2, ...] of tanh.

    In float32: of any implementation that errs by less than a unit in the last place, which the program says of its
    own. The float64 value is rounded to float32 and moved by two steps; the program's own function is not needed.
    """
    value = np.tanh(ends.astype(np.float64))
    value = np.stack([value[0], value[-1]])
    if ends.dtype == np.float64:
        value += np.array([-(2.0**-48), 2.0**-48]).reshape(2, *[1] * (value.ndim - 1))
    else:
        value = value.astype(np.float32)
        for end, to in enumerate((np.float32(-np.inf), np.float32(np.inf))):
            value[end] = np.nextafter(np.nextafter(value[end], to), to)
    return np.clip(value, -1, 1)


def leads(hidden: np.ndarray, part: Linear, label: np.ndarray) -> np.ndarray:
    """Whether the logit of `label` is proved to be the largest for all hidden units within [2, B, H]; bool [B].

    The differences z_y - z_j are bounded, not each logit: that is tighter, as both depend on the same units. But the
    program computes each logit by itself and rounds, so what that can change is taken off. By Higham (as above), with
    u = 2^-24 and gamma_n = n u / (1 - n u), the program's logit is

        sum over k of scale w_k h_k (1 + t_k) + b (1 + t'),   |t_k| <= gamma_{n_k},  |t'| <= gamma_1,

    where n_k counts the roundings on the way of term k: its product, the additions from its own on (the first one is to
    0 and exact), the scale, the bias: n_k = 3 + H - max(k, 1). Products that underflow err by 2^-150 each besides. All
    of that is computed in float64, whose own error is bounded in the same way, with twice its gamma. For hidden units
    in float64 the question is one of exact arithmetic, and nothing but that last error is taken off.
    """
    rows = np.arange(len(label))
    weight, bias, scale = part.weight.astype(np.float64), part.bias.astype(np.float64), float(part.scale)
    units = weight.shape[1]
    low, high = hidden.astype(np.float64)
    size = np.maximum(np.abs(low), np.abs(high))
    sums = size @ np.abs(weight).T  # [B, classes]
    error = (units + 8) * 2.0**-52 * (scale * sums + np.abs(bias)) + 1e-300
    proved = np.ones(len(label), bool)
    if hidden.dtype == np.float32:
        n = 3.0 + units - np.maximum(np.arange(units), 1)
        gamma = n * 2.0**-24 / (1 - n * 2.0**-24)
        error += scale * (size @ (np.abs(weight) * gamma).T) + 2.0**-23 * np.abs(bias)
        error += (scale * units + 1) * 2.0**-149
        # The bound supposes that nothing overflows, and that gamma is small.
        proved &= (np.maximum(sums, scale * sums + np.abs(bias)).max(axis=1) < 2.0**120) & (units < 1 << 20)
    error *= 1 + 1e-6  # for the rounding of `error` itself
    for other in range(len(weight)):
        difference = weight[label] - weight[other]
        least = np.where(difference >= 0, difference * low, difference * high).sum(axis=1)
        lead = scale * least + (bias[label] - bias[other])
        proved &= (other == label) | (lead > error[rows, label] + error[:, other])
    return proved


# --------------------------------------------------------------------------------------------------------------- checks


def proves(of: Certificate, ends: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Whether the class is `label` all over each box of normalised images [E, B, C, H, W]."""
    values = features(of, ends)
    if of.head is not None:
        values = linear(values, of.head[0])
        proved = leads(tanh(values), of.head[1], label)
    else:
        itself = np.arange(of.classes) == label[:, None]
        proved = (itself | (values[-1][itself][:, None] < values[0])).all(axis=1)  # strictly below
    # An infinite end means that something may overflow within the box, and then NaN may arise: nothing is proved.
    return proved & np.isfinite(values).all(axis=(0, 2))


def predicts(of: Certificate, ends: np.ndarray, claim: np.ndarray) -> np.ndarray:
    """1 where the program gives class `claim`, 0 where not, NaN where that hinges on the last bits of its tanh."""
    values = features(of, ends)
    logits = -values if of.head is None else linear(tanh(linear(values, of.head[0])), of.head[1])
    low, high, rows = logits[0], logits[-1], np.arange(len(claim))
    own_low, own_high, other = low[rows, claim][:, None], high[rows, claim][:, None], np.arange(of.classes)
    first = other < claim[:, None]  # of equal ones the first wins
    itself = other == claim[:, None]
    sure = (itself | np.where(first, own_low > high, own_low >= high)).all(axis=1)
    wrong = (~itself & np.where(first, own_high <= low, own_high < low)).any(axis=1)
    wrong |= ~np.isfinite(logits).all(axis=(0, 2))
    return np.where(wrong, 0, np.where(sure, 1, np.nan if of.head else 0))


def examine(of: Certificate, images: np.ndarray, block: slice, radii: bool, tables: Optional[np.ndarray]) -> Any:
    """Of each sample: is its class as claimed, and do the claims at eps, at its radius, at eps in real arithmetic hold?

    [4, B]: 1 yes, 0 no, NaN where nothing is claimed or asked, or where the class is undecided.
    """
    images, label, radius = images[block], of.label[block], of.radius[block]

    def ask(chosen: np.ndarray, ends_of: Any) -> np.ndarray:
        answer = np.full(len(images), np.nan)
        if chosen.any():
            ends = np.stack([ends_of(sample) for sample in np.flatnonzero(chosen)], axis=1)
            answer[chosen] = proves(of, ends, label[chosen])
        return answer

    certified = of.certified[block] == 1
    with np.errstate(all="ignore"):  # infinities and NaN prove nothing
        points = np.stack([program_ends(of, image, Fraction(0))[:1] for image in images], axis=1)
        channel = np.arange(len(of.mean))[:, None, None]
        return np.stack([
            predicts(of, points, of.prediction[block]),
            ask(certified, lambda s: program_ends(of, images[s], of.eps)),
            ask((radius >= 0) & radii, lambda s: program_ends(of, images[s], Fraction(int(radius[s]), of.denominator))),
            ask(certified & (tables is not None), lambda s: np.asarray(tables)[:, channel, images[s]])])


def examine_all(of: Certificate, images: np.ndarray, radii: bool, real: bool) -> np.ndarray:
    """Blocks of images on all cores: numpy lets go of Python's lock while it computes."""
    widest = max(math.prod(layer.output[1:]) * max(layer.groups * layer.weight.shape[1], layer.output[0])
                 for layer in of.layers)
    size = max(1, min(64, (1 << 21) // widest))
    tables = real_tables(of) if real else None
    blocks = [slice(start, min(start + size, len(images))) for start in range(0, len(images), size)]
    found: List[np.ndarray] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for answers in pool.map(lambda block: examine(of, images, block, radii, tables), blocks):
            found.append(answers)
            if sys.stderr.isatty():
                print(f"{blocks[len(found) - 1].stop} of {len(images)} images", end="\r", file=sys.stderr, flush=True)
    return np.concatenate(found, axis=1)


class Report:
    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.wrong: List[str] = []

    def say(self, head: str, text: str) -> None:
        if not self.quiet:
            print(f"{head:<8}{text}")

    def check(self, what: str, wrong: Any, note: bool = False) -> None:
        """`wrong`: what is, as a text, or the numbers of the samples of which `what` is not true."""
        if not isinstance(wrong, str):
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            wrong = f"not of sample {', '.join(map(str, wrong[:5]))}{more}" if len(wrong) else ""
        if wrong and not note:
            self.wrong.append(what)
        self.say("ok" if not wrong else "note" if note else "WRONG", f"{what}: {wrong}" if wrong else what)


def check_claims(of: Certificate, labels: np.ndarray, report: Report) -> None:
    """All that can be told without running the net."""
    claimed, found = of.weights_sha256
    report.check("the weights are those of weights_sha256", "" if claimed == found else f"theirs is {found}")
    if (known := KNOWN.get(of.data)) is None:
        report.check("the data set's normalisation", "the set is not known: taken as the file has it", note=True)
    else:
        means, scale = np.array(known.mean, np.float32), np.float32(1) / np.float32(known.std)
        same = np.array_equal(of.mean, means) and of.scale == scale
        report.check(f"the normalisation is that of {of.data}", "" if same else f"mean {of.mean}, scale {of.scale}")
    right, certified = of.prediction == of.label, of.certified == 1
    report.check("the labels are the true ones", np.flatnonzero(of.label != labels))
    counts = (int(right.sum()), int(certified.sum()))
    wrong = "" if counts == of.counts else f"{of.counts}, not {counts}"
    report.check("the counts are the sums of the claims", wrong)
    report.check("what is certified is classified right", np.flatnonzero(certified & ~right))
    report.check("what has a radius is classified right", np.flatnonzero((of.radius >= 0) & ~right))
    # A box holds the boxes of all lesser radii; the grid's largest radius up to eps is floor(eps * denominator).
    steps = of.eps * of.denominator
    few, many = certified & (of.radius < math.floor(steps)), ~certified & (of.radius >= math.ceil(steps))
    report.check("radii agree with what is certified at eps", np.flatnonzero(few | many))
    report.check("what is classified right has a radius", np.flatnonzero((of.radius < 0) & right), note=True)


def verify(args: argparse.Namespace) -> int:
    of = read_certificate(args.file)
    report = Report(args.quiet)
    report.say("file", f"{ascii(str(args.file))[1:-1]}: {of.by}")
    report.say("net", of.net())
    report.say("data", f"the first {of.samples} test images of {of.data!a}")
    report.say("claims", f"eps = {of.eps}, threat {of.threat}; {of.counts[0]} right, {of.counts[1]} certified; "
               f"radii in steps of 1/{of.denominator}")
    images, labels = read_images(of.data, args.data, args.images)
    images = check_images(of, images, labels)
    report.check("the images and labels are those of the checksums", "")
    check_claims(of, labels[:of.samples], report)

    count = min(of.samples, args.samples or of.samples)
    prediction, certified, radius, real = examine_all(of, images[:count], not args.skip_radius, not args.skip_real)
    report.check("the net gives the classes claimed", np.flatnonzero(prediction == 0))
    if of.head is not None:
        report.check("no class hinges on the last bits of tanh", np.flatnonzero(np.isnan(prediction)), note=True)
    report.check(f"claims at eps = {of.eps} hold in float32 as executed", np.flatnonzero(certified == 0))
    if not args.skip_radius:
        report.check("radii hold in float32 as executed", np.flatnonzero(radius == 0))
    if not args.skip_real:
        report.check("claims at eps hold in real arithmetic too", np.flatnonzero(real == 0), note=True)

    def tally(answers: np.ndarray) -> str:
        return f"{(answers == 1).sum()} of {(~np.isnan(answers)).sum()}"

    in_real = "" if args.skip_real else f" ({(real == 1).sum()} in real arithmetic)"
    radii = "radii not checked" if args.skip_radius else f"{tally(radius)} radii hold"
    print(f"{tally(certified)} certified claims hold at eps = {of.eps} in float32 as executed{in_real}; {radii}")
    if report.wrong:
        print(f"the certificate does NOT hold: {len(report.wrong)} of the checks failed: {'; '.join(report.wrong)}")
        return 1
    parts = [f"its first {count} samples"] * (count < of.samples) + ["all but its radii"] * args.skip_radius
    print("the certificate holds" + (f", as far as was asked: {', '.join(parts)}" if parts else ""))
    return 0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description="Checks a robustness certificate of an l-infinity-distance net.")
    parser.add_argument("file", metavar="FILE", type=Path, help="the certificate")
    parser.add_argument("--data", metavar="DIR", type=Path, default=Path("data"),
                        help="the folder of the data sets' folders (default: data)")
    parser.add_argument("--images", metavar="NPZ", type=Path,
                        help="take the test images from here: uint8 `images` [N, C, H, W] and `labels` [N]")
    parser.add_argument("--samples", metavar="N", type=int, help="replay the first N samples only")
    parser.add_argument("--skip-radius", action="store_true", help="leave out the radius of each sample")
    parser.add_argument("--skip-real", action="store_true", help="leave out the second opinion in real arithmetic")
    parser.add_argument("--quiet", action="store_true", help="print the result alone")
    try:
        args = parser.parse_args(arguments)
        if args.samples is not None and args.samples < 1:
            parser.error("--samples must be 1 or more")
        if np.float32(2.0**-127) * np.float32(0.5) == 0:
            raise Unusable("this numpy flushes small numbers to 0; the program does not")
        return verify(args)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    except Rejected as error:
        print(f"the certificate does NOT hold: {error}")
        return 1
    except (Unusable, MemoryError, KeyboardInterrupt) as error:
        print(f"nothing was checked: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
