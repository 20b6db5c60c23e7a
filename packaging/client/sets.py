"""Ground truth and detections for tests of the COCO figures: hand-made sets that
each sit on one edge of the rules, and random ones that mix them all."""

import random


def dataset(images, categories, annotations):
    """A COCO instances file. annotations: (image, category, box[, area[, crowd]])."""
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in images],
        "categories": [{"id": c, "name": f"class {c}"} for c in categories],
        "annotations": [
            {
                "id": n,
                "image_id": image,
                "category_id": category,
                "bbox": list(box),
                "area": rest[0] if rest else box[2] * box[3],
                "iscrowd": rest[1] if len(rest) > 1 else 0,
            }
            for n, (image, category, box, *rest) in enumerate(annotations, 1)
        ],
    }


def results(*detections):
    """A COCO results list of (image, category, box, score)."""
    return [
        {"image_id": image, "category_id": category, "bbox": list(box), "score": score}
        for image, category, box, score in detections
    ]


def hand_made():
    """Small sets by name, each with its ground truth and detections."""
    a, b = (10, 10, 100, 100), (200, 200, 50, 40)
    sets = {}
    sets["perfect"] = (
        dataset([1, 2], [1, 3], [(1, 1, a), (1, 3, b), (2, 1, (5, 5, 20, 20))]),
        results((1, 1, a, 0.9), (1, 3, b, 0.8), (2, 1, (5, 5, 20, 20), 0.7)),
    )
    sets["nothing-right"] = (
        dataset([1], [1], [(1, 1, a)]),
        results((1, 1, (300, 300, 50, 50), 0.9)),
    )
    sets["only-crowds"] = (
        dataset([1], [1], [(1, 1, a, 10000, 1)]),
        results((1, 1, a, 0.9)),
    )
    # A crowd takes many detections, by the part of them that lies in it, but not
    # one that an object would have.
    sets["crowd"] = (
        dataset([1], [1], [(1, 1, (0, 0, 300, 300), 50000, 1), (1, 1, a)]),
        results(
            (1, 1, (20, 20, 30, 30), 0.95), (1, 1, (150, 150, 200, 100), 0.9), (1, 1, a, 0.8),
            (1, 1, (12, 10, 100, 100), 0.7), (1, 1, (280, 280, 60, 60), 0.6), (1, 1, (400, 400, 60, 60), 0.5),
        ),
    )
    # Equal scores keep their order, in the list and over the pictures.
    sets["equal-scores"] = (
        dataset([3, 1, 2], [1], [(1, 1, a), (2, 1, a), (3, 1, a), (3, 1, b)]),
        results(
            (3, 1, (400, 10, 50, 50), 0.5), (3, 1, a, 0.5), (1, 1, (12, 11, 100, 99), 0.5), (1, 1, a, 0.5),
            (2, 1, (300, 10, 50, 50), 0.5), (2, 1, (10, 10, 100, 60), 0.5), (3, 1, b, 0.5),
        ),
    )
    # Two objects with the same overlap: the later is taken, which leaves the
    # earlier to a detection that fits only it.
    sets["equal-overlaps"] = (
        dataset([1], [1], [(1, 1, (0, 0, 100, 100)), (1, 1, (40, 0, 100, 100)), (1, 1, (0, 0, 100, 100))]),
        results((1, 1, (20, 0, 100, 100), 0.9), (1, 1, (0, 0, 90, 100), 0.8), (1, 1, (0, 0, 100, 100), 0.7)),
    )
    # Areas of exactly 32² and 96² belong to both sides; the area of the
    # annotation counts, not that of its box.
    sets["area-borders"] = (
        dataset([1], [1], [
            (1, 1, (0, 0, 32, 32)), (1, 1, (100, 0, 96, 96)), (1, 1, (0, 200, 40, 40), 1024),
            (1, 1, (200, 200, 100, 100), 9216), (1, 1, (400, 200, 100, 100), 1023.9), (1, 1, (400, 350, 97, 96)),
        ]),
        results(
            (1, 1, (0, 0, 32, 32), 0.9), (1, 1, (100, 0, 96, 96), 0.8), (1, 1, (0, 200, 40, 40), 0.7),
            (1, 1, (200, 200, 100, 100), 0.6), (1, 1, (400, 200, 100, 100), 0.55), (1, 1, (600, 0, 32, 32), 0.5),
            (1, 1, (500, 0, 96, 96), 0.45), (1, 1, (600, 400, 33, 32), 0.4), (1, 1, (400, 352, 97, 96), 0.3),
        ),
    )
    # Overlaps of exactly the thresholds are enough.
    sets["thresholds"] = (
        dataset([1], [1], [(1, 1, (0, 100 * i, 100, 20)) for i in range(10)]),
        results(*((1, 1, (0, 100 * i, 50 + 5 * i, 20), 0.9 - 0.01 * i) for i in range(10))),
    )
    # Category 2 has objects but no detections, 3 the other way round, 4 neither.
    sets["empty-classes"] = (
        dataset([1, 2], [4, 2, 3, 1], [(1, 1, a), (1, 2, b), (2, 2, a)]),
        results((1, 1, a, 0.6), (2, 3, b, 0.9), (2, 1, a, 0.9)),
    )
    # 120 detections of one class: 100 count; 1 and 10 for the recalls.
    sets["many-detections"] = (
        dataset([1, 2], [1], [(1, 1, (5 * i, 5 * i, 30, 30)) for i in range(40)] + [(2, 1, a)]),
        results(*((1, 1, (4 * i, 4 * i, 30, 30), round(0.99 - 0.0075 * i, 4)) for i in range(120)), (2, 1, a, 0.001)),
    )
    sets["no-detections"] = (dataset([1], [1], [(1, 1, a)]), [])
    sets["no-objects"] = (dataset([1], [1], []), results((1, 1, a, 0.5)))
    sets["empty-boxes"] = (
        dataset([1], [1], [(1, 1, (10, 10, 0, 50)), (1, 1, a, 0), (1, 1, a, 0, 1)]),
        results((1, 1, (10, 10, 0, 50), 0.9), (1, 1, a, 0.8), (1, 1, (10, 10, 0, 0), 0.7)),
    )
    # pycocotools takes an annotation with the id 0 for one that is never found.
    zero = dataset([1], [1], [(1, 1, a), (1, 1, b), (1, 1, (300, 300, 20, 20))])
    for n, annotation in enumerate(zero["annotations"]):
        annotation["id"] = n
    sets["id-0"] = (zero, results((1, 1, a, 0.9), (1, 1, b, 0.8), (1, 1, a, 0.7)))
    return sets


def at_random(seed, images=12, categories=6, objects=9, noise=6):
    """A set with moved, doubled and invented boxes, few different scores, crowds,
    areas that are not those of the boxes, and classes without objects."""
    rnd = random.Random(seed)
    ids = rnd.sample(range(1, 1000), images)
    classes = rnd.sample(range(1, 91), categories)
    steps = rnd.choice([3, 10, 1000])  # how many scores there are

    def box():
        side = rnd.choice([16, 32, 64, 96, 200])
        w, h = (side * rnd.choice([1, 1, rnd.uniform(0.5, 2)]) for _ in range(2))
        return round(rnd.uniform(0, 500), 2), round(rnd.uniform(0, 400), 2), round(w, 2), round(h, 2)

    def moved(b):
        by = rnd.choice([0, 0.02, 0.1, 0.3])
        return tuple(round(v + rnd.uniform(-by, by) * b[2 + i % 2], 2) for i, v in enumerate(b))

    def score():
        return rnd.randint(1, steps) / steps

    annotations, found = [], []
    for image in ids:
        for _ in range(rnd.randint(0, objects)):
            category, b = rnd.choice(classes[: max(1, categories - 2)]), box()
            area = b[2] * b[3] * rnd.choice([1, 1, rnd.uniform(0.3, 1)])
            crowd = int(rnd.random() < 0.1)
            annotations.append((image, category, b, area, crowd))
            for _ in range(rnd.choice([0, 1, 1, 1, 2, 3])):
                found.append((image, category if rnd.random() < 0.9 else rnd.choice(classes), moved(b), score()))
        for _ in range(rnd.randint(0, noise)):
            found.append((image, rnd.choice(classes[1:]), box(), score()))
    rnd.shuffle(annotations)
    rnd.shuffle(found)
    return dataset(ids, classes, annotations), results(*found)
