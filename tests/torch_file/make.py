"""Makes the fixtures of torch_file. Run it once with each PyTorch whose files are to be read:

    python make.py v16     # PyTorch 1.6.0 with Python 3.7: what the authors' first program asks for
    python make.py v215    # PyTorch 2.15.0 with Python 3.11

Values are i/4 - 1 for i = 0, 1, ... unless said otherwise, so that every float type holds them exactly.
"""
import collections
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import torch
from torch import nn

prefix = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(here, prefix + "_" + name + ".pth")


def ramp(*shape, dtype=torch.float32):
    count = int(np.prod(shape))
    return (torch.arange(count, dtype=torch.float32) / 4 - 1).reshape(*shape).to(dtype)


def save(value, name, **how):
    torch.save(value, path(name), **how)


# The names of the authors' second program, with modules of our own.
class MeanShift(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.register_buffer("running_mean", ramp(outputs))


class NormDist(nn.Module):
    def __init__(self, inputs, outputs, shift):
        super().__init__()
        self.weight = nn.Parameter(ramp(outputs, inputs))
        self.mean_shift = MeanShift(outputs) if shift else None
        self.bias = None if shift else nn.Parameter(ramp(outputs))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc_dist = nn.Sequential(NormDist(4, 3, True), NormDist(3, 2, False))
        self.scalar = nn.Parameter(torch.ones(1))


def trained(net):
    optimizer = torch.optim.Adam(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer


net = Net()
optimizer = trained(net)
save(net.state_dict(), "state_dict")
save(net.state_dict(), "protocol4", pickle_protocol=4)
save(collections.OrderedDict(("module." + k, v) for k, v in net.state_dict().items()), "parallel")
nested = {
    "epoch": 7,
    "arch": "MLPModel",
    "best": 0.5,
    "done": True,
    "state_dict": net.state_dict(),
    "optimizer": optimizer.state_dict(),
}
save(nested, "nested")
save(nested, "legacy_nested", _use_new_zipfile_serialization=False)
save(net, "whole_net")

kinds = {
    name: ramp(5, dtype=getattr(torch, name))
    for name in ["float32", "float64", "float16", "bfloat16"]
}
kinds["int64"] = torch.tensor([-3, 2 ** 24 + 1, 5])
kinds["int32"] = torch.tensor([-3, 4], dtype=torch.int32)
kinds["uint8"] = torch.tensor([0, 255], dtype=torch.uint8)
kinds["bool"] = torch.tensor([True, False, True])
kinds["number"] = torch.tensor(2.5)
save(kinds, "kinds")
save(kinds, "legacy_kinds", _use_new_zipfile_serialization=False)

base = ramp(3, 4)
views = {
    "base": base,
    "transposed": base.t(),
    "slice": base[1:, 1:3],
    "every_other": base[:, ::2],
    "expanded": ramp(3).unsqueeze(0).expand(2, 3),
    "empty": torch.zeros(0, 3),
    "tied": base,
    "parameter": nn.Parameter(ramp(2)),
}
save(views, "views")
save(views, "legacy_views", _use_new_zipfile_serialization=False)

# The authors' first program keeps its modules in the optimizer's groups, and NumPy integers in those.
package = types.ModuleType("model")
for module_name, names in {"norm_dist": ["NormDist", "MeanNorm"], "bound_module": ["BoundLinear"]}.items():
    module = types.ModuleType("model." + module_name)
    setattr(package, module_name, module)
    sys.modules["model." + module_name] = module
    for name in names:
        setattr(module, name, type(name, (nn.Module,), {"__module__": "model." + module_name}))
sys.modules["model"] = package


class First(nn.Module):
    def __init__(self):
        super().__init__()
        dist, mean, linear = package.norm_dist.NormDist(), package.norm_dist.MeanNorm(), package.bound_module.BoundLinear()
        mean.register_buffer("running_mean", ramp(2))
        dist.weight = nn.Parameter(ramp(2, 3, 1, 1))
        dist.normalize, dist.bias, dist.in_channels, dist.p = mean, None, np.prod([1, 3]), float("inf")
        linear.weight, linear.bias = nn.Parameter(ramp(2, 2)), nn.Parameter(ramp(2))
        self.feature = nn.Sequential(dist)
        self.predictor = nn.Sequential(linear)


first = First()
groups = [{"params": p, "module": m} for m in first.modules() for p in m.parameters(False)]
first_program = {"state_dict": first.state_dict(), "optimizer": torch.optim.SGD(groups, lr=0.1).state_dict()}
save(first_program, "first_program")
if prefix == "v16":  # newer ones look for the source of each class
    save(first_program, "legacy_first_program", _use_new_zipfile_serialization=False)


class Call:
    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


system = Call(os.system, "echo this must never be seen")
save(system, "evil_system")
save({"state_dict": net.state_dict(), "optimizer": system}, "evil_beside")
save({"w": Call(eval, "1 + 1")}, "evil_eval")
save({"state_dict": net.state_dict(), "optimizer": system}, "legacy_evil", _use_new_zipfile_serialization=False)
save([1, 2], "list")
save({"epoch": 3}, "no_tensors")


def rewritten(name, change, method=zipfile.ZIP_STORED):
    """state_dict.pth, each entry changed by `change(name, bytes)`, which may drop it."""
    out = io.BytesIO()
    with zipfile.ZipFile(path("state_dict")) as old, zipfile.ZipFile(out, "w", method) as new:
        for entry in old.namelist():
            data = change(entry.split("/", 1)[1], old.read(entry))
            if data is not None:
                new.writestr(zipfile.ZipInfo("archive/" + entry.split("/", 1)[1]), data, method)
    with open(path(name), "wb") as file:
        file.write(out.getvalue())


if prefix == "v215":
    rewritten("bad_big_endian", lambda name, data: b"big" if name == "byteorder" else data)
    rewritten("bad_deflated", lambda name, data: data, zipfile.ZIP_DEFLATED)
    rewritten("bad_missing", lambda name, data: None if name == "data/0" else data)
    rewritten("bad_short", lambda name, data: data[:-4] if name == "data/0" else data)
    rewritten("bad_version", lambda name, data: b"99\n" if name == "version" else data)


def whole_mnist_net():
    """A net of the second program's kind for images of 28 x 28, and what it says of one image, by its definition."""
    widths = [784, 6, 6, 10]
    wave = lambda *shape: torch.sin(torch.arange(int(np.prod(shape)), dtype=torch.float64)).float().reshape(*shape)
    state = collections.OrderedDict(scalar=torch.tensor([1.5]))
    for i in range(3):
        state["fc_dist.%d.weight" % i] = wave(widths[i + 1], widths[i])
        if i < 2:
            state["fc_dist.%d.mean_shift.running_mean" % i] = 2 + wave(widths[i + 1])
    state["fc_dist.2.bias"] = 0.1 * wave(10)
    save({"state_dict": state, "optimizer": {"step": 7}}, "whole_mnist_net")
    pixels = (torch.arange(784) * 7 % 256).double()
    z = (pixels / 255 - 0.1307) / 0.3081
    for i in range(3):
        z = (z[None] - state["fc_dist.%d.weight" % i].double()).abs().amax(1)
        z = z - state["fc_dist.%d.mean_shift.running_mean" % i].double() if i < 2 else z + state["fc_dist.2.bias"].double()
    logits = (-z).sort(descending=True)
    margin = (logits.values[0] - logits.values[1]) * 0.3081
    print("whole_mnist_net: class %d, margin %.7f pixels" % (logits.indices[0], margin))


if prefix == "v215":
    whole_mnist_net()
