"""What the papers print, once more: typed from the tables' facts, not from the code. One line a row."""

from __future__ import annotations

import pytest

from cells.zoo.published import TABLES

PRINTED = {
    # arXiv 1707.07012, table 1; 1512.03385 by akamaster; 1802.01548, table 1; 1802.03268; quark0/darts.
    "cifar10": """
        DenseNet L=40 k=12 | 1.0M | | 5.24
        DenseNet L=100 k=12 | 7.0M | | 4.10
        DenseNet L=100 k=24 | 27.2M | | 3.74
        DenseNet-BC | 25.6M | | 3.46
        Shake-Shake 2x32d | 2.9M | | 3.55
        Shake-Shake 2x96d | 26.2M | | 2.86
        Shake-Shake 2x96d + cutout | 26.2M | | 2.56
        ResNet-20 | 0.27M | | 8.75
        ResNet-32 | 0.46M | | 7.51
        ResNet-44 | 0.66M | | 7.17
        ResNet-56 | 0.85M | | 6.97
        ResNet-110 | 1.7M | | 6.43
        NAS v3 (depth 39) | 7.1M | | 4.47
        NAS v3 + more filters | 37.4M | | 3.65
        NASNet-A (6 @ 768) | 3.3M | | 3.41
        NASNet-A (6 @ 768) + cutout | 3.3M | | 2.65
        NASNet-A (7 @ 2304) | 27.6M | | 2.97
        NASNet-A (7 @ 2304) + cutout | 27.6M | | 2.40
        NASNet-B (4 @ 1152) | 2.6M | | 3.73
        NASNet-C (4 @ 640) | 3.1M | | 3.59
        AmoebaNet-A (6, 32) | 2.6M | | 3.40
        AmoebaNet-A (6, 36) | 3.2M | | 3.34
        ENAS, cells | | | 2.89
        DARTS v1 (C=36 L=20) | | |
        DARTS v2 (C=36 L=20) | 3.3M | | 2.63
    """,
    # torchvision; arXiv 1707.07012, table 2; 1802.01548, table 2.
    "imagenet": """
        AlexNet | 61,100,840 | | 56.522/79.066 | 224
        VGG-16 | 138,357,544 | | / | 224
        ResNet-18 | 11,689,512 | | 69.758/89.078 | 224
        Inception-v2 | 11.2M | 1.94B | 74.8/92.2 | 224
        Inception-v3 | 23.8M | 5.72B | 78.8/94.4 | 299
        Xception | 22.8M | 8.38B | 79.0/94.5 | 299
        Inception-ResNet-v2 | 55.8M | 13.2B | 80.1/95.1 | 299
        ResNeXt-101 | 83.6M | 31.5B | 80.9/95.6 | 320
        PolyNet | 92M | 34.7B | 81.3/95.8 | 331
        DPN-131 | 79.5M | 32.0B | 81.5/95.8 | 320
        SENet | 145.8M | 42.3B | 82.7/96.2 | 320
        NASNet-A (5 @ 1538) | 10.9M | 2.35B | 78.6/94.2 | 299
        NASNet-A (7 @ 1920) | 22.6M | 4.93B | 80.8/95.3 | 299
        NASNet-A (6 @ 4032) | 88.9M | 23.8B | 82.7/96.2 | 331
        PNASNet-5 | 86.1M | 25.0B | 82.9/96.2 | 331
        AmoebaNet-A (6, 190) | 86.7M | 23.1B | 82.8/96.1 | 331
        AmoebaNet-A (6, 448) | 469M | 104B | 83.9/96.6 | 299
    """,
    # arXiv 1707.07012, table 3, at 224 pixels.
    "mobile": """
        Inception-v1 | 6.6M | 1,448M | 69.8/89.9 | 224
        GoogLeNet | | | / | 224
        MobileNet | 4.2M | 569M | 70.6/89.5 | 224
        ShuffleNet 2x | 5M | 524M | 70.9/89.8 | 224
        NASNet-A (4 @ 1056) | 5.3M | 564M | 74.0/91.6 | 224
        NASNet-B (4 @ 1536) | 5.3M | 488M | 72.8/91.3 | 224
        NASNet-C (3 @ 960) | 4.9M | 558M | 72.5/91.0 | 224
        PNASNet-5 mobile | | | / | 224
        DARTS v2 (C=48 L=14) | | | / | 224
    """,
    # arXiv 1611.01578, table 1.
    "2017": """
        v1, no stride or pooling (depth 15) | 4.2M | | 5.50
        v2, predicting strides (depth 20) | 2.5M | | 6.01
        v3, max pooling (depth 39) | 7.1M | | 4.47
        v3 + more filters (depth 39) | 37.4M | | 3.65
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_as_printed(name):
    lines = [[cell.strip() for cell in line.split("|")] for line in PRINTED[name].strip().splitlines()]
    expected = [
        (row, counts[:2], tuple(counts[2].split("/")), int(counts[3:][0]) if counts[3:] else 32)
        for row, *counts in lines
    ]
    found = [(row.name, [row.parameters, row.mult_adds], row.scores, row.size) for row in TABLES[name].rows]
    assert found == expected
