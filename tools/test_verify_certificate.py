#!/usr/bin/env python3
"""Tests of verify_certificate.py: python3 tools/test_verify_certificate.py

A net's claims are computed here a second time, slowly: one number after another, boxes from exact fractions, radii by
bisection. The verifier must accept these claims, and must reject what is changed in them.
"""
import contextlib
import copy
import functools
import gzip
import hashlib
import io
import json
import math
import os
import random
import resource
import tempfile
import types
import unittest
from fractions import Fraction
from pathlib import Path

import numpy as np

import verify_certificate as v

F = np.float32
DATA = Path(os.environ.get("LINF_DATA") or Path(__file__).parent.parent / "data")


# ------------------------------------------------------------------------------------------- the same in another way


def down(exact):
    value = F(float(exact))
    while Fraction(float(value)) > exact:
        value = np.nextafter(value, F(-9))
    return value


def up(exact):
    return -down(-exact)


def step(value, to, times):
    for _ in range(times):
        value = np.nextafter(F(value), F(to))
    return value


def clip(exact):
    return min(max(exact, Fraction(0)), Fraction(1))


def pixel_box(u, eps, threat):
    u = int(u)
    if threat == "8-bit":
        k = int(255 * eps)
        return F(max(u - k, 0)) / F(255), F(min(u + k, 255)) / F(255)
    if eps == 0:
        return F(u) / F(255), F(u) / F(255)
    return down(clip(Fraction(u, 255) - eps)), up(clip(Fraction(u, 255) + eps))


class Floats:
    """The arithmetic of the program on an interval (low, high)."""

    zero = F(0)

    @staticmethod
    def number(value):
        return F(value)


class Exact:
    zero = Fraction(0)

    @staticmethod
    def number(value):
        return Fraction(float(value))


def neuron(seen, weights, profile, kind):
    """A distance or a sort neuron of intervals [(low, high)]."""
    near, far = [], []
    for (low, high), w in zip(seen, weights):
        w = kind.number(w)
        near.append(max(low - w, w - high, kind.zero))
        far.append(max(abs(low - w), abs(high - w)))
    if profile is None:
        return max(near), max(far)
    ends = []
    for values in (near, far):
        total = kind.zero
        for c, value in zip(profile, sorted(values, reverse=True)):
            total = total + kind.number(c) * value
        ends.append(total)
    return ends


def run_layers(made, x, kind):
    """x: {(channel, row, column): (low, high)}; gives the outputs of the last layer in the order of a flat layer."""
    layers = made.stated["net"]["layers"]
    for n, layer in enumerate(layers):
        channels, height, width = layer["input"]
        if (height, width) == (1, 1):
            x = {(i, 0, 0): value for i, (_, value) in enumerate(sorted(x.items()))}
        weight, mean = made.tensors[f"layer.{n}.weight"], made.tensors.get(f"layer.{n}.mean")
        profile = made.tensors.get(f"layer.{n}.profile")
        k, s, p, d, g = (layer[key] for key in ("kernel", "stride", "pad", "dilation", "groups"))
        sides = [(side + 2 * p - d * (k - 1) - 1) // s + 1 for side in (height, width)]
        y = {}
        for o in range(layer["outputs"]):
            first = o // (layer["outputs"] // g) * (channels // g)
            for row in range(sides[0]):
                for column in range(sides[1]):
                    seen = [x.get((first + c, row * s - p + i * d, column * s - p + j * d), (kind.zero, kind.zero))
                            for c in range(channels // g) for i in range(k) for j in range(k)]
                    ends = neuron(seen, weight[o], profile, kind)
                    shift = kind.number(0 if mean is None else mean[o])
                    y[o, row, column] = tuple(end - shift for end in ends)
        x = y
    values = [value for _, value in sorted(x.items())]
    if "bias" in made.tensors:
        values = [tuple(end + kind.number(b) for end in ends) for ends, b in zip(values, made.tensors["bias"])]
    return values


def hidden_units(made, values):
    """The program's hidden units over a box of features, before tanh."""
    out = []
    for row, bias in zip(made.tensors["head.hidden.weight"], made.tensors["head.hidden.bias"]):
        low = high = F(0)
        for w, (a, b) in zip(row, values):
            low, high = low + min(w * a, w * b), high + max(w * a, w * b)
        scale = made.tensors["head.hidden.scale"][0]
        out.append((scale * low + bias, scale * high + bias))
    return out


def head_logits(made, hidden):
    out = []
    for row, bias in zip(made.tensors["head.classes.weight"], made.tensors["head.classes.bias"]):
        total = F(0)
        for w, h in zip(row, hidden):
            total = total + w * h
        out.append(made.tensors["head.classes.scale"][0] * total + bias)
    return out


def head_holds(made, values, label):
    """A proof weaker than the verifier's: exact fractions, Higham's gamma with more roundings, tanh wider."""
    units = [(Fraction(float(step(math.tanh(low), -2, 3))), Fraction(float(step(math.tanh(high), 2, 3))))
             for low, high in hidden_units(made, values)]
    weight, bias = made.tensors["head.classes.weight"], made.tensors["head.classes.bias"]
    scale = Fraction(float(made.tensors["head.classes.scale"][0]))
    w = [[Fraction(float(value)) for value in row] for row in weight]
    b = [Fraction(float(value)) for value in bias]
    n = Fraction(len(units) + 4, 1 << 24)

    def error(j):
        return n / (1 - n) * (scale * sum(abs(x) * max(map(abs, u)) for x, u in zip(w[j], units)) + abs(b[j]))

    def lead(j):
        terms = (min((x - y) * u[0], (x - y) * u[1]) for x, y, u in zip(w[label], w[j], units))
        return scale * sum(terms) + b[label] - b[j]

    return all(j == label or lead(j) > error(label) + error(j) + Fraction(1, 10**30) for j in range(len(w)))


def normalised_box(made, sample, eps, threat):
    mean, scale = made.tensors["normalize.mean"], made.tensors["normalize.scale"][0]
    return {at: tuple((end - mean[at[0]]) * scale for end in pixel_box(u, eps, threat))
            for at, u in np.ndenumerate(made.images[sample])}


def holds(made, sample, eps, threat=None):
    values = run_layers(made, normalised_box(made, sample, eps, threat or made.stated["threat"]), Floats)
    label = int(made.tensors["claim.label"][sample])
    if "bias" not in made.tensors:
        return head_holds(made, values, label)
    return all(j == label or values[label][1] < values[j][0] for j in range(len(values)))


def predicted(made, sample):
    values = run_layers(made, normalised_box(made, sample, Fraction(0), "real"), Floats)
    if "bias" in made.tensors:
        values = [low for low, _ in values]
        return values.index(min(values))
    logits = head_logits(made, [F(math.tanh(low)) for low, _ in hidden_units(made, values)])
    return logits.index(max(logits))


# ---------------------------------------------------------------------------------------------- certificates to look at


def layer(planes, outputs, groups=1, kernel=1, stride=1, pad=0, dilation=1):
    return {"input": list(planes), "outputs": outputs, "groups": groups, "kernel": kernel, "stride": stride, "pad": pad,
            "dilation": dilation}


class Made:
    """A certificate in pieces that a test may change before it is written."""

    def __init__(self, seed, layers, images=(1, 4, 4), count=10, sort=(), head=None, threat="real", eps=None):
        draw = np.random.default_rng(seed)
        self.images = draw.integers(0, 256, (count, *images), np.uint8)
        self.tensors = {"normalize.mean": draw.uniform(0.2, 0.5, images[0]).astype(F),
                        "normalize.scale": F([draw.uniform(2, 5)])}
        def normal(*shape):
            return draw.standard_normal(shape).astype(F)

        for n, entry in enumerate(layers):
            patch = entry["input"][0] // entry["groups"] * entry["kernel"] ** 2
            self.tensors[f"layer.{n}.weight"] = normal(entry["outputs"], patch) * F(2 if n == 0 else 0.5)
            if head or n < len(layers) - 1:
                self.tensors[f"layer.{n}.mean"] = normal(entry["outputs"]) + F(4 if n == 0 else 1)
            if n in sort:
                q = 0.6
                self.tensors[f"layer.{n}.profile"] = F([q * (1 - q) ** k for k in range(min(4, patch))])
        classes = self.classes = layers[-1]["outputs"] if not head else 3
        if head:
            sides = [(layers[-1]["input"][1 + i] + 2 * layers[-1]["pad"] - layers[-1]["dilation"] *
                      (layers[-1]["kernel"] - 1) - 1) // layers[-1]["stride"] + 1 for i in (0, 1)]
            inputs = layers[-1]["outputs"] * sides[0] * sides[1]
            for name, i, o in (("hidden", inputs, head), ("classes", head, classes)):
                self.tensors.update({f"head.{name}.weight": normal(o, i), f"head.{name}.bias": normal(o) * F(0.1),
                                     f"head.{name}.scale": F([1 / math.sqrt(i)])})
        else:
            self.tensors["bias"] = normal(classes) * F(0.05)
        self.stated = {
            "format": 1, "program": "test", "run": "none", "step": seed,
            "dataset": {"name": "tiny", "split": "test", "samples": count, "images_sha256": "", "labels_sha256": ""},
            "net": {"layers": layers, "end": "head" if head else "distances"}, "threat": threat, "eps": "0/1",
            "radius_denominator": 1024 if threat == "real" else 255, "counts": {}, "weights_sha256": ""}
        self.claim(eps)

    def claim(self, eps=None):
        """Labels, of which the net gets two wrong, and all that is true of them; eps in the middle of the radii."""
        count, grid = len(self.images), self.stated["radius_denominator"]
        numbers = np.uint8 if self.classes <= 256 else np.uint16
        prediction = np.array([predicted(self, sample) for sample in range(count)], numbers)
        label = prediction.copy()
        label[[2, 7]] = (label[[2, 7]] + 1) % 3
        self.tensors.update({"claim.label": label, "claim.prediction": prediction})
        radius = np.full(count, -1, np.int32)
        for sample in np.flatnonzero(prediction == label):
            bad = grid + 1  # least known not to hold
            while bad - radius[sample] > 1:
                middle = (bad + int(radius[sample])) // 2
                if holds(self, sample, Fraction(middle, grid)):
                    radius[sample] = middle
                else:
                    bad = middle
        if eps is None:
            eps = Fraction(int(np.sort(radius)[count // 2]), grid) + Fraction(1, 3 * grid)
        certified = np.array([radius[s] >= 0 and holds(self, s, eps) for s in range(count)])
        self.tensors.update({"claim.certified": certified.astype(np.uint8), "claim.radius": radius,
                             "claim.margin": np.zeros(count, F)})
        self.stated["eps"] = f"{eps.numerator}/{eps.denominator}"
        self.stated["counts"] = {"clean": int((prediction == label).sum()), "certified": int(certified.sum())}
        self.stated["dataset"]["images_sha256"] = hashlib.sha256(self.images.tobytes()).hexdigest()
        self.stated["dataset"]["labels_sha256"] = hashlib.sha256(label.tobytes()).hexdigest()
        self.labels = label.copy()
        self.seal()

    def seal(self):
        names = sorted(name for name in self.tensors if not name.startswith("claim."))
        self.stated["weights_sha256"] = hashlib.sha256(b"".join(self.tensors[n].tobytes() for n in names)).hexdigest()

    def header(self):
        dtypes = {"float32": "F32", "int32": "I32", "uint8": "U8", "uint16": "U16", "float64": "F64"}
        entries, at = {"__metadata__": {"certificate": json.dumps(self.stated)}}, 0
        for name in sorted(self.tensors, key=lambda name: (-self.tensors[name].itemsize, name)):
            value = self.tensors[name]
            entries[name] = {"dtype": dtypes[str(value.dtype)], "shape": list(value.shape),
                             "data_offsets": [at, at + value.nbytes]}
            at += value.nbytes
        return entries

    def bytes(self, header=None):
        header = self.header() if header is None else header
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        names = sorted(self.tensors, key=lambda name: (-self.tensors[name].itemsize, name))
        return len(text).to_bytes(8, "little") + text + b"".join(self.tensors[name].tobytes() for name in names)

    def all_true(self):
        """Whether every claim is."""
        eps, grid, of = Fraction(self.stated["eps"]), self.stated["radius_denominator"], self.tensors
        return all(predicted(self, s) == of["claim.prediction"][s]
                   and (not of["claim.certified"][s] or holds(self, s, eps))
                   and (of["claim.radius"][s] < 0 or holds(self, s, Fraction(int(of["claim.radius"][s]), grid)))
                   for s in range(len(self.images)))


FLAT = [layer((16, 1, 1), 8), layer((8, 1, 1), 6), layer((6, 1, 1), 3)]
CONV = [layer((2, 5, 5), 4, kernel=3, stride=2, pad=1), layer((4, 3, 3), 4, groups=2, kernel=2, dilation=2),
        layer((4, 1, 1), 3)]
KINDS = {
    "dense": dict(layers=FLAT),
    "grouped": dict(layers=[layer((16, 1, 1), 8), layer((8, 1, 1), 6, groups=2), layer((6, 1, 1), 3)]),
    "conv": dict(layers=CONV, images=(2, 5, 5)),
    "conv to flat": dict(layers=[layer((1, 4, 4), 2, kernel=3), layer((8, 1, 1), 3)]),
    "sort": dict(layers=FLAT, sort=(1, 2)),
    "head": dict(layers=FLAT[:2], head=7),
    "conv, sort, head": dict(layers=CONV[:1] + [layer((4, 3, 3), 3, kernel=2)], images=(2, 5, 5), sort=(1,), head=5),
    "8-bit": dict(layers=FLAT, threat="8-bit"),
}


# Random nets that show something: of several classes, of different radii.
SEEDS = {"dense": (1, 9), "grouped": (3, 12), "conv": (22, 10), "conv to flat": (4, 2), "sort": (5, 32),
         "head": (8, 10), "conv, sort, head": (3, 34), "8-bit": (19, 24)}


@functools.lru_cache(maxsize=None)
def made_once(name, turn):
    return Made(SEEDS[name][turn], **copy.deepcopy(KINDS[name]))


def kind(name, turn=0):
    return copy.deepcopy(made_once(name, turn))


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.good = None

    def verify(self, what, *options, images=None):
        """Exit code and all that is printed for a Made or for bytes; what ends in a traceback fails the test."""
        content = what.bytes() if isinstance(what, Made) else what
        (self.folder / "file").write_bytes(content)
        if images is None:
            images = what
        if images is not self.good:
            np.savez(self.folder / "images.npz", images=images.images, labels=images.labels)
            self.good = images
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = v.main([str(self.folder / "file"), "--images", str(self.folder / "images.npz"), *options])
        return code, out.getvalue()

    def accepted(self, what, *options, images=None):
        code, out = self.verify(what, *options, images=images)
        self.assertEqual(code, 0, out)
        return out

    def rejected(self, fragment, what, *options, images=None):
        code, out = self.verify(what, *options, images=images)
        self.assertEqual(code, 1, out)
        self.assertIn("the certificate does NOT hold", out.splitlines()[-1])
        self.assertRegex(out, fragment)


class True_(Case):
    def test_certificates_of_every_kind_of_net_hold(self):
        for name in KINDS:
            for turn in (0, 1):
                with self.subTest(name, turn=turn):
                    made = kind(name, turn)
                    certified, classes = made.stated["counts"]["certified"], set(made.tensors["claim.prediction"])
                    various = len(classes) > 1 and len(set(made.tensors["claim.radius"])) > 5
                    self.assertTrue(3 <= certified <= 6 and various, "a net that shows nothing: take another seed")
                    out = self.accepted(made)
                    self.assertIn(f"{certified} of {certified} certified claims hold at eps = {made.stated['eps']} in "
                                  f"float32 as executed ({certified} in real arithmetic); 8 of 8 radii hold", out)
                    self.assertEqual(out.splitlines()[-1], "the certificate holds")

    def test_a_net_that_sees_a_window_is_given_the_middle_of_whole_images(self):
        made = kind("dense")
        made.stated["dataset"]["crop"] = 4
        self.accepted(made)
        whole = copy.deepcopy(made)
        whole.images = np.full((len(made.images), 1, 7, 8), 99, np.uint8)
        whole.images[:, :, 1:5, 2:6] = made.images
        self.accepted(made, images=whole)
        changed = copy.deepcopy(whole)
        changed.images[3, 0, 2, 3] ^= 1
        self.rejected("the images are not those of images_sha256", made, images=changed)
        changed.images[:] = whole.images
        changed.images[3, 0, 0, 0] ^= 1
        self.accepted(made, images=copy.deepcopy(changed))
        for side, why in ((0, "'crop' is 0"), ("4", "'crop' is not a whole number"), (3, "the images are not those")):
            made.stated["dataset"]["crop"] = side
            self.rejected(why, made, images=whole)

    def test_labels_of_more_classes_than_a_byte_numbers_have_two(self):
        made = Made(5, [layer((16, 1, 1), 8), layer((8, 1, 1), 300)])
        self.assertGreater(made.tensors["claim.prediction"].max(), 255, "take another seed")
        self.accepted(made)
        for name in ("claim.label", "claim.prediction"):
            narrow = copy.deepcopy(made)
            narrow.tensors[name] = narrow.tensors[name].astype(np.uint8)
            self.assertIn(f"tensor '{name}' is uint8", self.verify(narrow)[1])

    def test_one_step_more_than_the_largest_radius_is_rejected_of_every_sample(self):
        for name in ("dense", "grouped", "conv", "conv to flat", "sort", "8-bit"):
            made = kind(name)
            for sample in np.flatnonzero(made.tensors["claim.radius"] >= 0):
                with self.subTest(name, sample=sample):
                    more = copy.deepcopy(made)
                    more.tensors["claim.radius"][sample] += 1
                    self.rejected(f"radii hold.*: not of sample {sample}\n", more, "--skip-real")

    def test_options(self):
        made = kind("dense")
        self.assertIn("radii not checked", self.accepted(made, "--skip-radius"))
        self.assertIn("as far as was asked: all but its radii", self.accepted(made, "--skip-radius"))
        self.assertNotIn("real arithmetic", self.accepted(made, "--skip-real"))
        self.assertIn("as far as was asked: its first 3 samples", self.accepted(made, "--samples", "3"))
        self.assertEqual(len(self.accepted(made, "--quiet").splitlines()), 2)
        made.tensors["claim.radius"][5] = made.tensors["claim.radius"][4] = 1024
        made.stated["eps"] = "1/1"  # nothing is certified there, so nothing contradicts the radii
        made.tensors["claim.certified"][:] = 0
        made.stated["counts"]["certified"] = 0
        self.rejected("radii hold in float32 as executed: not of sample 4, 5\n", made)

    def test_what_cannot_be_checked_is_no_verdict(self):
        made = kind("dense")
        self.assertEqual(self.verify(made, "--samples", "0")[0], 2)
        self.assertEqual(self.verify(made, "--nonsense")[0], 2)
        self.assertEqual(self.verify(made, "--images", "/nowhere.npz")[0], 2)
        (self.folder / "images.npz").write_bytes(b"PK no archive")
        self.assertEqual(self.verify(made)[0], 2)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(v.main([str(self.folder / "nowhere"), "--quiet"]), 2)
            self.assertEqual(v.main([str(self.folder), "--quiet"]), 2)

    def test_a_prediction_on_the_last_bit_of_tanh_is_left_open_and_a_clear_one_is_not(self):
        made = kind("head")
        made.tensors["head.classes.weight"][:] = made.tensors["head.classes.weight"][0]
        made.tensors["head.classes.bias"][:] = 0
        made.claim(Fraction(1, 10))  # all logits are equal: the first wins
        self.assertIn("no class hinges on the last bits of tanh: not of sample 0, 1, 2", self.accepted(made))
        wrong = kind("head")
        wrong.tensors["claim.prediction"][2] = wrong.tensors["claim.label"][2]
        wrong.stated["counts"]["clean"] += 1
        self.rejected("the net gives the classes claimed: not of sample 2\n", wrong)

    def test_a_tie_goes_to_the_first_class_and_has_no_radius(self):
        made = kind("dense")
        made.tensors["layer.2.weight"][1] = made.tensors["layer.2.weight"][0]
        made.tensors["bias"][:2] = -1
        made.claim(Fraction(1, 10))
        self.assertEqual(set(made.tensors["claim.prediction"]), {0})
        out = self.accepted(made)
        self.assertIn("note    what is classified right has a radius: not of sample 0, 1, 3, 4, 5 and 3 more", out)
        made.tensors["claim.radius"][0] = 0
        self.rejected("radii hold in float32 as executed: not of sample 0\n", made)

    def test_what_holds_in_float32_alone_is_told_apart(self):
        # Of x = 1, with t = 2^-24. Class 0: 1 + t rounds to 1, and so does 1 + t/2; exactly it is 1 + 1.5 t. Class 1:
        # 1 + 2t is exact, 1 + 2t - 0.9 t rounds to 1 + 2t; exactly it is 1 + 1.1 t.
        made, t = Made(1, [layer((1, 1, 1), 3)], images=(1, 1, 1), eps=Fraction(0)), 2.0**-24
        made.images[:] = 255
        made.tensors.update({"normalize.mean": F([0]), "normalize.scale": F([1]), "bias": F([t / 2, -0.9 * t, 0]),
                             "layer.0.weight": F([[-t], [-2 * t], [-9]])})
        made.claim(Fraction(0))
        out = self.accepted(made)
        self.assertIn("claims at eps hold in real arithmetic too: not of sample 0, 1, 3, 4, 5 and 3 more", out)
        self.assertIn("8 of 8 certified claims hold at eps = 0 in float32 as executed (0 in real arithmetic)", out)


def change(name):
    """A change of a tensor: its index and its new value."""
    def with_index(index, value, seal=False):
        def apply(made):
            made.tensors[name][index] = value(made.tensors[name][index]) if callable(value) else value
            if seal:
                made.seal()
        return apply
    return with_index


def state(*path, value):
    def apply(made):
        at = made.stated
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
    return apply


def certify_one(made):
    sample = int(np.flatnonzero((made.tensors["claim.certified"] == 0) & (made.tensors["claim.radius"] >= 0))[0])
    made.tensors["claim.certified"][sample] = 1
    made.tensors["claim.radius"][sample] = 1024
    made.stated["counts"]["certified"] += 1


def less_radius(made):
    sample = int(np.flatnonzero(made.tensors["claim.certified"])[0])
    made.tensors["claim.radius"][sample] = int(Fraction(made.stated["eps"]) * 1024) - 1


def uncertify_one(made):
    made.tensors["claim.certified"][np.flatnonzero(made.tensors["claim.certified"])[0]] = 0
    made.stated["counts"]["certified"] -= 1


def swap_labels(made):
    a, b = 0, next(s for s in range(1, 10) if made.labels[s] != made.labels[0])
    made.tensors["claim.label"][[a, b]] = made.tensors["claim.label"][[b, a]]


def fewer_samples(made):
    made.stated["dataset"]["samples"] = 9


def wider(name, value):
    def apply(made):
        made.tensors[name] = value(made.tensors.get(name))
    return apply


TAMPERED = [
    ("a weight, hash as it was", "weights_sha256: theirs is", change("layer.1.weight")((0, 0), lambda w: w + F(1e-7))),
    ("a weight, hash made anew", "hold in float32|classes claimed", change("layer.2.weight")((0, 0), 9, seal=True)),
    ("labels swapped", "labels are the true ones: not of sample 0", swap_labels),
    ("a prediction", "the net gives the classes claimed: not of sample 4\n",
     change("claim.prediction")(4, lambda p: (p + 1) % 3)),
    ("larger eps", "claims at eps = 1 hold in float32 as executed: not of sample", state("eps", value="1/1")),
    ("eps above 1", "eps 3/2 is above 1", state("eps", value="3/2")),
    ("eps a decimal", "eps '0.3' is not a fraction", state("eps", value="0.3")),
    ("eps over 0", "eps '3/0' is not a fraction", state("eps", value="3/0")),
    ("a larger radius", "radii hold in float32 as executed: not of sample 0\n", change("claim.radius")(0, 1000)),
    ("a radius beyond 1", "a radius is not within -1 .. 1024", change("claim.radius")(0, 1025)),
    ("a radius of a wrong class", "what has a radius is classified right: not of sample 2\n",
     change("claim.radius")(2, 0)),
    ("one more certified", "claims at eps = .* hold in float32 as executed: not of sample", certify_one),
    ("certified, but of less radius", "radii agree with what is certified at eps: not of sample", less_radius),
    ("of more radius, but not certified", "radii agree with what is certified at eps: not of sample", uncertify_one),
    ("certified of a wrong class", "what is certified is classified right: not of sample 2\n",
     change("claim.certified")(2, 1)),
    ("a flag that is none", "neither 0 nor 1", change("claim.certified")(0, 2)),
    ("counts", r"the counts are the sums of the claims: \(9, 5\), not",
     state("counts", value={"clean": 9, "certified": 5})),
    ("another mean", "net does not|hold in float32|classes claimed", change("normalize.mean")(0, 0.9, seal=True)),
    ("another scale", "hold in float32|classes claimed", change("normalize.scale")(0, 99, seal=True)),
    ("a negative scale", "normalize.scale is not above 0", change("normalize.scale")(0, -1, seal=True)),
    ("a running mean", "hold in float32|classes claimed",
     change("layer.1.mean")(slice(None), lambda m: m + [9, 0, 0, 0, 0, 0], seal=True)),
    ("a bias", "hold in float32|classes claimed", change("bias")(0, 3, seal=True)),
    ("a NaN", "'layer.0.weight' holds a value that is not finite", change("layer.0.weight")((1, 2), np.nan, seal=True)),
    ("an infinity", "'claim.margin' holds a value that is not finite", change("claim.margin")(0, np.inf)),
    ("a tensor missing", "'layer.1.mean' is missing", lambda made: made.tensors.pop("layer.1.mean")),
    ("a tensor too many", "'layer.2.mean' does not belong to this net",
     wider("layer.2.mean", lambda _: np.zeros(3, F))),
    ("a profile too long", "'layer.2.profile' does not belong", wider("layer.2.profile", lambda _: np.zeros(7, F))),
    ("a profile below 0", "layer.2.profile has a weight below 0", wider("layer.2.profile", lambda _: F([1, -1]))),
    ("wrong type", "its type 'F64' is not one of", wider("bias", lambda bias: bias.astype(np.float64))),
    ("type of another tensor", r"'bias' is int32 \[3\], not float32 \[3\]",
     wider("bias", lambda _: np.ones(3, np.int32))),
    ("wrong shape", r"'layer.0.weight' is float32 \[16, 8\], not float32 \[8, 16\]",
     wider("layer.0.weight", lambda w: w.T)),
    ("sample count", r"'claim.label' is uint8 \[10\], not uint8 \[9\]", fewer_samples),
    ("sample count 0", "'samples' is 0", state("dataset", "samples", value=0)),
    ("sample count true", "'samples' is not a whole number", state("dataset", "samples", value=True)),
    ("format", "its format is not 1", state("format", value=2)),
    ("format true", "its format is not 1", state("format", value=True)),
    ("an unknown entry", "has an unknown entry 'extra'", state("extra", value=2)),
    ("threat", "the threat 'none' is not", state("threat", value="none")),
    ("split", "is not the test images", state("dataset", "split", value="train")),
    ("a hash that is none", "is not a SHA-256", state("weights_sha256", value="0x12")),
    ("other images' hash", "the images are not those of images_sha256",
     state("dataset", "images_sha256", value="0" * 64)),
    ("other labels' hash", "the labels are not those of labels_sha256",
     state("dataset", "labels_sha256", value="0" * 64)),
    ("another data set", "the net is not one for synthetic", state("dataset", "name", value="synthetic")),
    ("a public data set", "not the public test images of mnist", state("dataset", "name", value="mnist")),
    ("layers that do not fit", r"layer 1 takes \[9, 1, 1\]", state("net", "layers", 1, "input", value=[9, 1, 1])),
    ("groups that do not divide", "3 groups do not divide", state("net", "layers", 1, "groups", value=3)),
    ("a layer of nothing", "layer 0: outputs is 0", state("net", "layers", 0, "outputs", value=0)),
    ("a giant pad", "needs .* values an image", state("net", "layers", 0, "pad", value=1 << 20)),
    ("no layers", "'net' has no layers", state("net", "layers", value=[])),
    ("an end that is none", "the net's end 'tail'", state("net", "end", value="tail")),
    ("an end that is another", "is missing", state("net", "end", value="head")),
    ("a control character", "has an unknown entry '\\\\x1b", state("\x1b[2J", value=2)),
]


class Tampered(Case):
    def test_every_change_is_rejected_with_its_reason(self):
        made = kind("dense")
        self.accepted(made)
        for name, fragment, apply in TAMPERED:
            with self.subTest(name):
                changed = copy.deepcopy(made)
                apply(changed)
                self.rejected(fragment, changed, images=made)

    def test_a_convolution_with_another_stride_window_or_order_is_rejected(self):
        made = kind("conv")
        for key, value, fragment in (
            ("stride", 1, "layer 1 takes"), ("pad", 0, "layer 1 takes"), ("kernel", 2, "is float32"),
            ("groups", 2, "is float32"), ("kernel", 9, "window does not fit"),
        ):
            changed = copy.deepcopy(made)
            changed.stated["net"]["layers"][0][key] = value
            self.rejected(fragment, changed, images=made)
        # Of the same shape: stride 4 and pad 3 give 3 x 3 positions too.
        changed = copy.deepcopy(made)
        changed.stated["net"]["layers"][0].update(stride=4, pad=3)
        self.rejected("hold in float32|classes claimed", changed, images=made)
        changed = copy.deepcopy(made)
        changed.tensors["layer.0.weight"] = np.ascontiguousarray(
            changed.tensors["layer.0.weight"].reshape(4, 2, 9).transpose(0, 2, 1)).reshape(4, 18)
        changed.seal()
        self.rejected("hold in float32|classes claimed", changed, images=made)

    def test_steps_of_an_image_taken_for_real_changes_are_rejected(self):
        made = kind("8-bit")
        sample = int(np.argmax(made.tensors["claim.radius"]))
        eps = Fraction(255 * int(made.tensors["claim.radius"][sample]) + 254, 255 * 255)
        made.claim(eps)
        self.accepted(made)
        self.assertTrue(holds(made, sample, eps) and not holds(made, sample, eps, "real"))
        made.stated["threat"] = "real"
        self.rejected(f"claims at eps = .* hold in float32 as executed: not of sample {sample}\n", made)

    def test_the_normalisation_of_a_known_data_set_is_the_one_everybody_uses(self):
        made = Made(3, [layer((1, 28, 28), 2, kernel=2, stride=14), layer((8, 1, 1), 10)], images=(1, 28, 28))
        made.stated["dataset"]["name"] = "synthetic"
        for mean, scale, right in ((0.1307, F(1) / F(0.3081), True), (step(0.1307, 1, 1), F(1) / F(0.3081), False),
                                   (0.1307, step(F(1) / F(0.3081), 0, 1), False)):
            made.tensors.update({"normalize.mean": F([mean]), "normalize.scale": F([scale])})
            made.claim()
            if right:
                self.assertIn("ok      the normalisation is that of synthetic", self.accepted(made, images=None))
            else:
                self.rejected("the normalisation is that of synthetic: mean", made)

    def test_damaged_files_are_rejected(self):
        made = kind("dense")
        good, header = made.bytes(), made.header()
        self.accepted(good, images=made)
        length = int.from_bytes(good[:8], "little")

        def edited(name, **entry):
            return made.bytes({**header, name: {**header[name], **entry}})

        begin, end = header["normalize.scale"]["data_offsets"]
        text = json.dumps(header).encode()
        for fragment, content in (
            ("truncated", b""), ("truncated", good[:7]), ("truncated", good[:8]), ("truncated", good[:length]),
            ("an offset is", good[:-1]), ("1 bytes trail", good + b"\0"),
            ("header's length is 18446744073709551615", b"\xff" * 8 + good[8:]),
            ("a header of .* bytes", (len(good) - 7).to_bytes(8, "little") + good[8:]),
            ("header is not JSON", good[:8] + b"[" + good[9:]), ("header is not JSON", good[:8] + b"\xff" + good[9:]),
            ("header is not JSON", made.bytes(b"[" * 100_000)), ("no '__metadata__'", made.bytes(b"[1]")),
            ("holds a number of 5000 digits", made.bytes(b'{"a":' + b"9" * 5000 + b"}")),
            ("no '__metadata__'", made.bytes({k: e for k, e in header.items() if k != "__metadata__"})),
            ("unknown entry 'more'", made.bytes({**header, "__metadata__": {**header["__metadata__"], "more": ""}})),
            ("the certificate is not JSON", made.bytes({**header, "__metadata__": {"certificate": "{"}})),
            ("its format is not 1", made.bytes({**header, "__metadata__": {"certificate": "[]"}})),
            ("begins at byte", edited("normalize.scale", data_offsets=[begin - 4, end - 4])),
            ("takes 4 bytes", edited("normalize.scale", data_offsets=[begin, end + 4])),
            ("an offset is", edited("bias", data_offsets=[-12, 0])),
            ("an offset is", edited("bias", data_offsets=[0, 1 << 62])),
            ("is not a whole number", edited("bias", data_offsets=[0.0, 12.0])),
            ("a side of its shape", edited("bias", shape=[0])),
            ("a side of its shape", edited("bias", shape=[1 << 62, 2])),
            ("one or two sizes", edited("bias", shape=[])), ("unknown entry", edited("bias", more=1)),
            ("names 'bias' twice", made.bytes(text[:-1] + b', "bias": ' + json.dumps(header["bias"]).encode() + b"}")),
            ("is not a JSON object", made.bytes({**header, "bias": 3})),
        ):
            with self.subTest(fragment):
                self.rejected(fragment, content, images=made)

    def test_flipped_bits_are_rejected_exactly_where_a_claim_becomes_false(self):
        random_ = random.Random(5)
        for name in ("dense", "conv", "sort"):
            made, verdicts = kind(name), []
            names = [n for n in made.tensors if n == "bias" or n[:5] == "layer" and n[-7:] != "profile"]
            for _ in range(14):
                changed = copy.deepcopy(made)
                values = changed.tensors[random_.choice(names)].reshape(-1).view(np.uint32)
                values[random_.randrange(len(values))] ^= np.uint32(1 << random_.randrange(10, 32))
                if not all(np.isfinite(changed.tensors[n]).all() for n in names):
                    continue
                self.assertIn("weights_sha256: theirs", self.verify(changed, "--skip-real", images=made)[1])
                changed.seal()
                code, out = self.verify(changed, "--skip-real", images=made)
                with np.errstate(all="ignore"):
                    self.assertEqual(code == 0, changed.all_true(), out)
                verdicts.append(code)
            self.assertEqual(set(verdicts), {0, 1}, "the flips show nothing")

    def test_mutated_files_get_a_verdict_without_a_traceback_or_much_memory(self):
        random_ = random.Random(11)
        for name in ("dense", "conv, sort, head"):
            made = kind(name)
            good = made.bytes()
            length = 8 + int.from_bytes(good[:8], "little")
            for turn in range(250):
                content = bytearray(good)
                for _ in range(random_.choice((1, 1, 2, 8))):
                    at = random_.randrange(length if turn % 3 else len(content))
                    choice = random_.randrange(6)
                    if choice == 0:
                        content[at:at + random_.randrange(1, 40)] = b""
                    elif choice == 1:
                        content[at:at] = content[random_.randrange(length):][:random_.randrange(1, 40)]
                    elif choice == 2:
                        content[at:at + 1] = random_.choice((b"9", b"0", b"-", b"1e9", b'"', b"}", b"[", b"\\u0000"))
                    else:
                        content[at] ^= 1 << random_.randrange(8)
                if random_.randrange(2):  # so that what is inside is looked at
                    content[:8] = (length - 8 + len(content) - len(good)).to_bytes(8, "little", signed=True)
                if random_.randrange(8) == 0:
                    del content[random_.randrange(len(content)):]
                with self.subTest(name, turn=turn):
                    code, out = self.verify(bytes(content), "--skip-real", images=made)
                    self.assertIn(code, (0, 1, 2), out)
                    self.assertIn("holds" if code == 0 else "NOT hold" if code == 1 else "nothing was checked", out)
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 1 << 20, "KiB")


class Proofs(unittest.TestCase):
    def test_ends_are_the_tightest_floats_around_the_exact_ones(self):
        for text in ("8/255", "3/10", "2/255", "1/3", "1/65536", "1", "1/1000000000000", "1234567890123/9999999999999"):
            eps = Fraction(text)
            for u in range(256):
                for end, sign in enumerate((-1, 1)):
                    exact = clip(Fraction(u, 255) + sign * eps)
                    ours = v.directed(*exact.as_integer_ratio(), up=bool(end))
                    self.assertEqual(ours, (down, up)[end](exact), (text, u))
                    self.assertEqual(v.exact_ends(u, eps, "real")[end], exact)
                    fine = v.directed(*exact.as_integer_ratio(), bool(end), np.float64)
                    within = Fraction(float(np.nextafter(fine, -math.inf if end else math.inf)))
                    self.assertTrue(sign * Fraction(float(fine)) >= sign * exact > sign * within)

    def test_the_box_of_the_program_is_the_tightest_around_the_rounded_perturbations(self):
        image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
        mean, scale = F([0.1307]), F(1) / F(0.3081)
        for threat in ("real", "8-bit"):
            for text in ("0", "8/255", "3/10", "2/255", "1/3", "1/65536", "1", "1/1000000000000", "25499/65025"):
                of = types.SimpleNamespace(threat=threat, mean=mean, scale=scale)
                low, high = v.program_ends(of, image, Fraction(text)).reshape(2, 256)
                for u in range(256):
                    ends = [(end - mean[0]) * scale for end in pixel_box(u, Fraction(text), threat)]
                    self.assertEqual(ends, [low[u], high[u]], (threat, text, u))

    def test_sums_in_real_arithmetic_enclose_the_exact_ones(self):
        draw = np.random.default_rng(4)
        for inputs in (1, 3, 30):
            for _ in range(30):
                weight, x = draw.standard_normal((1, inputs)).astype(F), draw.standard_normal(inputs)
                part = v.Linear(weight, draw.standard_normal(1).astype(F), F(0.3))
                low, high = v.linear(np.stack([x, x])[:, None], part).ravel()
                exact = sum(Fraction(float(w)) * Fraction(float(value)) for w, value in zip(weight[0], x))
                exact = Fraction(float(part.scale)) * exact + Fraction(float(part.bias[0]))
                self.assertTrue(Fraction(float(low)) <= exact <= Fraction(float(high)) and high - low < 1e-12)

    def boxes(self, made, tmp):
        """The certificate as the verifier reads it, its boxes in float32 and in exact arithmetic."""
        path = Path(tmp) / "file"
        path.write_bytes(made.bytes())
        of = v.read_certificate(path)
        program = np.stack([v.program_ends(of, image, of.eps) for image in made.images], axis=1)
        tables, channel = v.real_tables(of), np.arange(len(of.mean))[:, None, None]
        return of, program, np.stack([tables[:, channel, image] for image in made.images], axis=1)

    def test_no_point_of_a_certified_box_changes_the_class_and_none_leaves_its_bounds(self):
        draw = np.random.default_rng(3)
        points = 0
        for name in ("dense", "conv", "sort", "head", "conv, sort, head"):
            for turn in (0, 1):
                made = kind(name, turn)
                with tempfile.TemporaryDirectory() as tmp:
                    of, program, _ = self.boxes(made, tmp)
                proved = v.proves(of, program, of.label)
                bounds = v.features(of, program)
                for sample in np.flatnonzero(proved):
                    low, high = program[:, sample]
                    share = draw.uniform(0, 1, (120, *low.shape)).astype(F)
                    share[:60] = share[:60].round()
                    x = np.clip(low + share * (high - low), low, high)
                    values = v.features(of, x[None])
                    self.assertTrue(((bounds[0, sample] <= values[0]) & (values[0] <= bounds[1, sample])).all())
                    answers = v.predicts(of, x[None], np.full(len(x), of.label[sample]))
                    self.assertTrue((answers == 1).all(), (name, turn, sample))
                    # The verifier's own evaluation is that of this file.
                    at = {index: (value, value) for index, value in np.ndenumerate(x[0])}
                    self.assertEqual([low for low, _ in run_layers(made, at, Floats)], values[0, 0].tolist())
                    points += len(x)
        self.assertGreater(points, 3000)

    def test_exact_values_lie_within_the_bounds_in_real_arithmetic(self):
        random_ = random.Random(2)
        for name in ("dense", "grouped", "conv", "conv to flat", "sort", "head", "8-bit"):
            made = kind(name)
            with tempfile.TemporaryDirectory() as tmp:
                of, _, real = self.boxes(made, tmp)
            bounds = v.features(of, real)
            mean, scale = [Fraction(float(m)) for m in of.mean], Fraction(float(of.scale))
            for sample in range(5):
                for corner in (True, False):
                    x = {}
                    for at, u in np.ndenumerate(made.images[sample]):
                        low, high = v.exact_ends(int(u), of.eps, of.threat)
                        share = random_.randrange(2) if corner else Fraction(random_.randrange(10**6), 10**6)
                        value = (low + share * (high - low) - mean[at[0]]) * scale
                        x[at] = (value, value)
                    exact = [value for value, _ in run_layers(made, x, Exact)]
                    for j, value in enumerate(exact):
                        low, high = bounds[:, sample, j]
                        self.assertTrue(Fraction(float(low)) <= value <= Fraction(float(high)), (name, sample, j))
                    if of.head is None:
                        continue
                    part = of.head[0]
                    sums = v.linear(bounds[:, sample:sample + 1], part)[:, 0]
                    for o, row in enumerate(part.weight):
                        value = Fraction(float(part.scale)) * sum(Fraction(float(w)) * f for w, f in zip(row, exact))
                        value += Fraction(float(part.bias[o]))
                        self.assertTrue(Fraction(float(sums[0, o])) <= value <= Fraction(float(sums[1, o])))

    def test_a_box_around_the_weight_has_distance_0(self):
        for kind in (F, float):
            ends, weight = np.array([[[-1, -1]], [[2, 3]]], kind), np.array([[0.5, 1]], kind)
            sums = v.sorted_sums(ends, weight, np.array([0.5, 0.25], kind))
            for found, high in ((v.distances(ends, weight), 2), (sums, 1.375)):
                self.assertTrue(abs(float(found[0, 0, 0])) < 1e-300 and abs(float(found[1, 0, 0]) - high) < 1e-14)

    def test_bounds_in_real_arithmetic_are_the_exact_ones_rounded_outwards(self):
        for name, shift in (("dense", 0), ("sort", 0), ("head", 0), ("dense", 1000), ("head", 1000)):
            made, slack = kind(name), 1e-14 + shift * 1e-15
            # So large that adding it, or taking it off, rounds.
            made.tensors["layer.1.mean" if name == "head" else "bias"] += F(shift)
            with tempfile.TemporaryDirectory() as tmp:
                of, _, real = self.boxes(made, tmp)
            for sample in range(4):
                box = {}
                for at, u in np.ndenumerate(made.images[sample]):
                    ends = v.exact_ends(int(u), of.eps, of.threat)
                    box[at] = tuple((e - Fraction(float(of.mean[0]))) * Fraction(float(of.scale)) for e in ends)
                ours = v.features(of, real[:, sample:sample + 1])[:, 0].tolist()
                for (low, high), a, b in zip(run_layers(made, box, Exact), *ours):
                    self.assertTrue(Fraction(a) <= low < Fraction(a + slack))
                    self.assertTrue(Fraction(b - slack) < high <= Fraction(b))

    def test_a_lead_is_proved_only_where_the_rounded_program_keeps_it(self):
        draw = np.random.default_rng(9)
        proved = flipped = 0
        for _ in range(300):
            units = int(draw.integers(1, 40))
            weight = (draw.standard_normal((2, units)) * 10.0 ** draw.integers(-3, 4, (2, units))).astype(F)
            hidden = draw.uniform(-1, 1, (8, units)).astype(F)
            scale = F(1 / math.sqrt(units))
            part = v.Linear(weight, np.zeros(2, F), scale)
            # A bias that all but balances the classes for the first units.
            logits = v.linear(hidden[None], part)[0]
            part.bias[1] = F(logits[0, 0] - logits[0, 1])
            for shift in (0, 1, 3, 30, 300, 3000):
                part.bias[0] = F(shift * 2.0**-24 * np.abs(weight).sum() * scale / 10)
                logits = v.linear(hidden[None], part)[0]
                answer = v.leads(np.stack([hidden, hidden]), part, np.zeros(8, int))
                self.assertTrue((logits[answer, 0] > logits[answer, 1]).all())
                exact = v.leads(np.stack([hidden, hidden]).astype(float), part, np.zeros(8, int))
                self.assertTrue((exact | ~answer).all())
                proved += int(answer[0])
                flipped += int(exact[0] and logits[0, 0] <= logits[0, 1])
        self.assertTrue(proved > 300 and flipped > 5, f"{proved} proved, {flipped} lost to rounding: shows nothing")

    def test_a_lead_that_overflow_or_underflow_takes_is_not_proved(self):
        for weight, unit in (([[3e38, 3e38], [2e38, 2e38]], 1), ([[1e-30, 1e-30], [0.5e-30, 0.5e-30]], 1e-20)):
            part, hidden = v.Linear(F(weight), np.zeros(2, F), F(0.5)), np.full((2, 1, 2), unit, F)
            with np.errstate(all="ignore"):
                logits = v.linear(hidden[:1], part)[0, 0]
                self.assertEqual(logits[0], logits[1])
                self.assertFalse(v.leads(hidden, part, np.zeros(1, int))[0])
                self.assertTrue(v.leads(hidden.astype(float), part, np.zeros(1, int))[0])

    def test_tanh_is_enclosed(self):
        x = np.concatenate([np.linspace(-10, 10, 4001), 10.0 ** np.arange(-44.0, 38), [0, math.inf, -math.inf]])
        x = x.astype(F)
        low, high = v.tanh(x[None])
        middle = np.array([math.tanh(value) for value in x.tolist()])
        self.assertTrue(((low <= middle) & (middle <= high) & (-1 <= low) & (high <= 1)).all())
        nearest = middle.astype(F)
        self.assertTrue((low <= np.maximum(np.nextafter(nearest, F(-2)), -1)).all())
        self.assertTrue((high >= np.minimum(np.nextafter(nearest, F(2)), 1)).all())
        low, high = v.tanh(np.stack([x, x]).astype(float))
        self.assertTrue(((low <= middle) & (middle <= high)).all())

    def test_an_overflow_proves_nothing(self):
        made = kind("head")
        made.tensors["head.hidden.weight"][:] = 3e38
        with tempfile.TemporaryDirectory() as tmp, np.errstate(all="ignore"):
            of, program, _ = self.boxes(made, tmp)
            self.assertFalse(v.proves(of, program, of.label).any())


class Images(unittest.TestCase):
    def test_files_that_are_not_what_they_should_be(self):
        with tempfile.TemporaryDirectory() as tmp:
            folder = Path(tmp) / "mnist"
            folder.mkdir()
            images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(12))
            labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])
            with self.assertRaisesRegex(v.Unusable, "No such file"):
                v.read_images("mnist", Path(tmp), None)
            (folder / "t10k-images-idx3-ubyte").write_bytes(images)
            (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
            found, true = v.read_images("mnist", Path(tmp), None)
            self.assertEqual((found.shape, true.tolist()), ((2, 1, 2, 3), [7, 9]))
            self.assertEqual(found[1].ravel().tolist(), [6, 7, 8, 9, 10, 11])
            for bad in (b"", images[:-1], images + b"\0", labels):
                (folder / "t10k-images-idx3-ubyte").write_bytes(bad)
                with self.assertRaises(v.Unusable):
                    v.read_images("mnist", Path(tmp), None)
            with self.assertRaisesRegex(v.Unusable, "--images"):
                v.read_images("../mnist", Path(tmp), None)

    @unittest.skipUnless((DATA / "mnist").is_dir() and (DATA / "cifar10").is_dir(), "no data sets here")
    def test_the_public_test_sets_have_their_pinned_checksums(self):
        for name in ("mnist", "fashion-mnist", "cifar10"):
            images, labels = v.read_images(name, DATA, None)
            known = v.KNOWN[name]
            self.assertEqual((images.shape, labels.shape), ((10_000, *known.shape), (10_000,)))
            self.assertEqual((v.sha256(images), v.sha256(labels)), (known.images, known.labels))
            self.assertEqual(np.bincount(labels).size, 10)


if __name__ == "__main__":
    unittest.main()
