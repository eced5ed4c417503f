"""What the papers print of networks, as they print it, and which of our networks each row is.

Facts only: figures keep the papers' digits, an empty one is not printed. `source` says where a row was read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from cells.architecture import Architecture
from cells.walks.stack import CellNetwork
from cells.zoo.cells import AMOEBANET_A, DARTS_V1, DARTS_V2, ENAS, NASNET_A, PNASNET_5
from cells.zoo.networks import hand_made


@dataclasses.dataclass(frozen=True)
class Row:
    """One network in a table.

    Attributes:
        name: as printed.
        source: where it was read.
        scores: as printed, in the order of the table's columns.
        parameters, mult_adds: as printed, such as "3.3M" or "23.8B"; of one picture.
        network: ours, where its wiring is known.
        size: pixels a side of its pictures.
        remark: what is to be said of the row.
    """

    name: str
    source: str
    scores: tuple[str, ...]
    parameters: str = ""
    mult_adds: str = ""
    network: Architecture | None = None
    size: int = 32
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows whose scores are of one data set."""

    title: str
    scores: tuple[str, ...]
    rows: tuple[Row, ...]


_NASNET, _REGEVO = "arXiv 1707.07012", "arXiv 1802.01548"
_HE = "arXiv 1512.03385, as akamaster/pytorch_resnet_cifar10 quotes it"
_DENSENET, _SHAKE = "DenseNet", "Shake-Shake"
_NO_CONFIG = "does not come out under the rules that the released networks have; its own config was not released"
_NO_WIRING = "its wiring was published as a drawing alone"
_NOT_WRITTEN = "its layers stand in no text that we found"


def _cifar(cells: str, repeats: int, filters: int) -> CellNetwork:
    return CellNetwork(_CELLS[cells], repeats, filters, 10)


_CELLS = {
    "nasnet": NASNET_A,
    "amoebanet": AMOEBANET_A,
    "enas": ENAS,
    "darts_v1": DARTS_V1,
    "darts_v2": DARTS_V2,
}


def _large(repeats: int, filters: int) -> CellNetwork:
    """With NASNet-A Large's stem and inputs (slim's large_imagenet_config)."""
    return CellNetwork(NASNET_A, repeats, filters, 1000, "imagenet", 3.0, True)


CIFAR10 = Table(
    "CIFAR-10",
    ("error %",),
    (
        Row(f"{_DENSENET} L=40 k=12", f"{_NASNET}, table 1", ("5.24",), "1.0M"),
        Row(f"{_DENSENET} L=100 k=12", f"{_NASNET}, table 1", ("4.10",), "7.0M"),
        Row(f"{_DENSENET} L=100 k=24", f"{_NASNET}, table 1", ("3.74",), "27.2M"),
        Row(f"{_DENSENET}-BC", f"{_NASNET}, table 1", ("3.46",), "25.6M"),
        Row(f"{_SHAKE} 2x32d", f"{_NASNET}, table 1", ("3.55",), "2.9M"),
        Row(f"{_SHAKE} 2x96d", f"{_NASNET}, table 1", ("2.86",), "26.2M"),
        Row(f"{_SHAKE} 2x96d + cutout", f"{_NASNET}, table 1", ("2.56",), "26.2M"),
        *(
            Row(f"ResNet-{depth}", _HE, (error,), parameters, network=hand_made(f"resnet{depth}"))
            for depth, parameters, error in (
                (20, "0.27M", "8.75"),
                (32, "0.46M", "7.51"),
                (44, "0.66M", "7.17"),
                (56, "0.85M", "6.97"),
                (110, "1.7M", "6.43"),
            )
        ),
        Row("NAS v3 (depth 39)", f"{_NASNET}, table 1", ("4.47",), "7.1M", remark=_NOT_WRITTEN),
        Row("NAS v3 + more filters", f"{_NASNET}, table 1", ("3.65",), "37.4M", remark=_NOT_WRITTEN),
        Row("NASNet-A (6 @ 768)", f"{_NASNET}, table 1", ("3.41",), "3.3M", network=_cifar("nasnet", 6, 32)),
        Row("NASNet-A (6 @ 768) + cutout", f"{_NASNET}, table 1", ("2.65",), "3.3M", network=_cifar("nasnet", 6, 32)),
        Row(
            "NASNet-A (7 @ 2304)",
            f"{_NASNET}, table 1",
            ("2.97",),
            "27.6M",
            network=_cifar("nasnet", 7, 96),
            remark=f"{_NO_CONFIG}; six repeats have 28,213,546",
        ),
        Row(
            "NASNet-A (7 @ 2304) + cutout",
            f"{_NASNET}, table 1",
            ("2.40",),
            "27.6M",
            network=_cifar("nasnet", 7, 96),
            remark=f"{_NO_CONFIG}; its best single run 2.19",
        ),
        Row("NASNet-B (4 @ 1152)", f"{_NASNET}, table 1", ("3.73",), "2.6M", remark=_NO_WIRING),
        Row("NASNet-C (4 @ 640)", f"{_NASNET}, table 1", ("3.59",), "3.1M", remark=_NO_WIRING),
        Row("AmoebaNet-A (6, 32)", f"{_REGEVO}, table 1", ("3.40",), "2.6M", network=_cifar("amoebanet", 6, 32)),
        Row("AmoebaNet-A (6, 36)", f"{_REGEVO}, table 1", ("3.34",), "3.2M", network=_cifar("amoebanet", 6, 36)),
        Row("ENAS, cells", "arXiv 1802.03268, abstract", ("2.89",), network=_cifar("enas", 5, 36)),
        Row("DARTS v1 (C=36 L=20)", "quark0/darts, genotypes.py", ("",), network=_cifar("darts_v1", 6, 36)),
        Row("DARTS v2 (C=36 L=20)", "quark0/darts, README", ("2.63",), "3.3M", network=_cifar("darts_v2", 6, 36)),
    ),
)

IMAGENET = Table(
    "ImageNet",
    ("top-1 %", "top-5 %"),
    (
        *(
            Row(name, source, scores, parameters, network=hand_made(kind), size=224)
            for name, kind, source, scores, parameters in (
                ("AlexNet", "alexnet", "torchvision", ("56.522", "79.066"), "61,100,840"),
                ("VGG-16", "vgg16", "keras.applications", ("", ""), "138,357,544"),
                ("ResNet-18", "resnet18", "torchvision", ("69.758", "89.078"), "11,689,512"),
            )
        ),
        Row("Inception-v2", f"{_NASNET}, table 2", ("74.8", "92.2"), "11.2M", "1.94B", size=224),
        Row("Inception-v3", f"{_NASNET}, table 2", ("78.8", "94.4"), "23.8M", "5.72B", size=299),
        Row("Xception", f"{_NASNET}, table 2", ("79.0", "94.5"), "22.8M", "8.38B", size=299),
        Row("Inception-ResNet-v2", f"{_NASNET}, table 2", ("80.1", "95.1"), "55.8M", "13.2B", size=299),
        Row("ResNeXt-101", f"{_NASNET}, table 2", ("80.9", "95.6"), "83.6M", "31.5B", size=320),
        Row("PolyNet", f"{_NASNET}, table 2", ("81.3", "95.8"), "92M", "34.7B", size=331),
        Row("DPN-131", f"{_NASNET}, table 2", ("81.5", "95.8"), "79.5M", "32.0B", size=320),
        Row("SENet", f"{_NASNET}, table 2", ("82.7", "96.2"), "145.8M", "42.3B", size=320),
        Row(
            "NASNet-A (5 @ 1538)",
            f"{_NASNET}, table 2",
            ("78.6", "94.2"),
            "10.9M",
            "2.35B",
            _large(5, 64),
            299,
            f"{_NO_CONFIG}; 1538 is no multiple of 24, ours is 5 @ 1536",
        ),
        Row(
            "NASNet-A (7 @ 1920)",
            f"{_NASNET}, table 2",
            ("80.8", "95.3"),
            "22.6M",
            "4.93B",
            _large(7, 80),
            299,
            _NO_CONFIG,
        ),
        Row(
            "NASNet-A (6 @ 4032)",
            f"{_NASNET}, table 2",
            ("82.7", "96.2"),
            "88.9M",
            "23.8B",
            _large(6, 168),
            331,
            "88.9M is with batch norm's moving statistics: 88,949,818",
        ),
        Row(
            "PNASNet-5",
            f"{_REGEVO}, table 2",
            ("82.9", "96.2"),
            "86.1M",
            "25.0B",
            CellNetwork(PNASNET_5, 4, 216, 1000, "imagenet", 3.0, True),
            331,
        ),
        Row(
            "AmoebaNet-A (6, 190)",
            f"{_REGEVO}, table 2",
            ("82.8", "96.1"),
            "86.7M",
            "23.1B",
            CellNetwork(AMOEBANET_A, 6, 190, 1000, "imagenet"),
            331,
        ),
        Row(
            "AmoebaNet-A (6, 448)",
            f"{_REGEVO}, table 2",
            ("83.9", "96.6"),
            "469M",
            "104B",
            CellNetwork(AMOEBANET_A, 6, 448, 1000, "imagenet"),
            299,
            "at 299 pixels, where 104B comes out; at 331 it has 126.5B",
        ),
    ),
)

MOBILE = Table(
    "ImageNet, mobile",
    ("top-1 %", "top-5 %"),
    (
        Row("Inception-v1", f"{_NASNET}, table 3", ("69.8", "89.9"), "6.6M", "1,448M", size=224),
        Row(
            "GoogLeNet",
            "arXiv 1409.4842",
            ("", ""),
            network=hand_made("googlenet"),
            size=224,
            remark="as drawn, with 5x5 convolutions and biases; others that are called Inception-v1 have other ones",
        ),
        Row("MobileNet", f"{_NASNET}, table 3", ("70.6", "89.5"), "4.2M", "569M", size=224),
        Row("ShuffleNet 2x", f"{_NASNET}, table 3", ("70.9", "89.8"), "5M", "524M", size=224, remark="about 5M"),
        Row(
            "NASNet-A (4 @ 1056)",
            f"{_NASNET}, table 3",
            ("74.0", "91.6"),
            "5.3M",
            "564M",
            CellNetwork(NASNET_A, 4, 44, 1000, "imagenet"),
            224,
        ),
        Row(
            "NASNet-B (4 @ 1536)", f"{_NASNET}, table 3", ("72.8", "91.3"), "5.3M", "488M", size=224, remark=_NO_WIRING
        ),
        Row("NASNet-C (3 @ 960)", f"{_NASNET}, table 3", ("72.5", "91.0"), "4.9M", "558M", size=224, remark=_NO_WIRING),
        Row(
            "PNASNet-5 mobile",
            "tensorflow/models, pnasnet.py",
            ("", ""),
            network=CellNetwork(PNASNET_5, 3, 54, 1000, "imagenet"),
            size=224,
        ),
        Row(
            "DARTS v2 (C=48 L=14)",
            "quark0/darts, genotypes.py",
            ("", ""),
            network=CellNetwork(DARTS_V2, 4, 48, 1000, "imagenet"),
            size=224,
        ),
    ),
)

LAYER_BY_LAYER = Table(
    "CIFAR-10, layer by layer (2017)",
    ("error %",),
    tuple(
        Row(name, "arXiv 1611.01578, table 1", (error,), parameters, remark=_NOT_WRITTEN)
        for name, parameters, error in (
            ("v1, no stride or pooling (depth 15)", "4.2M", "5.50"),
            ("v2, predicting strides (depth 20)", "2.5M", "6.01"),
            ("v3, max pooling (depth 39)", "7.1M", "4.47"),
            ("v3 + more filters (depth 39)", "37.4M", "3.65"),
        )
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {"cifar10": CIFAR10, "imagenet": IMAGENET, "mobile": MOBILE, "2017": LAYER_BY_LAYER}
)
