"""What is in the sdist and the wheel: the package whole, and nothing else."""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

EXPECTED = {
    "skcnn/__init__.py",
    "skcnn/__init__.pyi",
    "skcnn/__main__.py",
    "skcnn/callbacks.py",
    "skcnn/classifier.py",
    "skcnn/classifier.pyi",
    "skcnn/datasets.py",
    "skcnn/datasets.pyi",
    "skcnn/extras.py",
    "skcnn/files.py",
    "skcnn/fitted.py",
    "skcnn/fitting.py",
    "skcnn/holdout.py",
    "skcnn/images.py",
    "skcnn/layers.py",
    "skcnn/losses.py",
    "skcnn/model.py",
    "skcnn/network.py",
    "skcnn/notices.py",
    "skcnn/onnx_methods.py",
    "skcnn/passes.py",
    "skcnn/pictures.py",
    "skcnn/plan.py",
    "skcnn/prediction.py",
    "skcnn/py.typed",
    "skcnn/saved.py",
    "skcnn/sizes.py",
    "skcnn/state.py",
    "skcnn/statistics.py",
    "skcnn/summary.py",
    "skcnn/summary.pyi",
    "skcnn/targets.py",
    "skcnn/threads.py",
    "skcnn/training.py",
    "skcnn/validation.py",
    "skcnn/versions.py",
    "skcnn/versions.pyi",
    "skcnn/dask/__init__.py",
    "skcnn/dask/__init__.pyi",
    "skcnn/dask/_census.py",
    "skcnn/dask/_chunks.py",
    "skcnn/dask/_classifier.py",
    "skcnn/dask/_cluster.py",
    "skcnn/dask/_fitting.py",
    "skcnn/dask/_load.py",
    "skcnn/dask/_passes.py",
    "skcnn/dask/_predictions.py",
    "skcnn/dask/_progress.py",
    "skcnn/dask/_rounds.py",
    "skcnn/dask/_shards.py",
    "skcnn/dask/_shuffle.py",
    "skcnn/export/__init__.py",
    "skcnn/export/__init__.pyi",
    "skcnn/export/_folded.py",
    "skcnn/export/_html.py",
    "skcnn/export/_keras.py",
    "skcnn/export/_onnx.py",
    "skcnn/export/_onnx_converter.py",
    "skcnn/export/_onnx_graph.py",
    "skcnn/export/_sequential.py",
    "skcnn/export/_torch.py",
    "skcnn/export/network.js",
    "skcnn/export/page.css",
    "skcnn/export/page.html",
    "skcnn/export/page.js",
    "skcnn/export/pictures.js",
    "skcnn/inspection/__init__.py",
    "skcnn/inspection/__init__.pyi",
    "skcnn/inspection/_evidence.py",
    "skcnn/inspection/_feature_maps.py",
    "skcnn/inspection/_filters.py",
    "skcnn/inspection/_inputs.py",
    "skcnn/inspection/_loss_curve.py",
    "skcnn/inspection/_misclassified.py",
    "skcnn/inspection/_occlusion.py",
    "skcnn/inspection/_overlay.py",
    "skcnn/inspection/_plotting.py",
    "skcnn/data/LICENSE.txt",
    "skcnn/data/mnist_sample.npz",
    "skcnn/kernels/__init__.py",
    "skcnn/kernels/_buffers.abi3.so",
    "skcnn/kernels/_buffers.pyi",
    "skcnn/kernels/_cpu.abi3.so",
    "skcnn/kernels/_cpu.pyi",
    "skcnn/kernels/_kernels.abi3.so",
    "skcnn/kernels/_kernels.pyi",
    "skcnn/kernels/_network.abi3.so",
    "skcnn/kernels/_network.pyi",
}
# Where the compiler knows the levels of the x86-64 instruction set.
LEVELS = {"skcnn/kernels/_kernels_v3.abi3.so", "skcnn/kernels/_kernels_v4.abi3.so"}


def main(folder):
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    assert "-cp311-abi3-" in wheel.name, f"{wheel.name} is not for the stable ABI of CPython 3.11"
    with zipfile.ZipFile(wheel) as archive:
        licences = {name.partition("/licenses/")[2] for name in archive.namelist()} - {""}
        names = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    expected = EXPECTED | LEVELS if "x86_64" in wheel.name else EXPECTED
    assert names == expected, f"missing: {expected - names}; not expected: {names - expected}"
    assert licences == {"LICENSE", "skcnn/data/LICENSE.txt"}, f"licences: {licences}"
    assert not re.search(r"\]\((?!https?:)", metadata), "PyPI's page would have relative links: see absolute_links.py"
    size = wheel.stat().st_size
    assert size < 1.8e6, f"{wheel.name} has {size} bytes"
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("LICENSE", "README.md", "meson.build", "skcnn/kernels/_kernels.pyx", "tests/helpers/reference.py"):
        assert needed in sources, f"{needed} is not in {sdist.name}"
    print(f"{wheel.name}: {len(names)} files, {size / 1000:.0f} kB; {sdist.name}: {len(sources)} entries")


if __name__ == "__main__":
    main(sys.argv[1])
