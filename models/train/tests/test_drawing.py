"""Drawings: the same for the same seed, with labels that fit."""
import unittest

import numpy as np

from train import counter, fonts, lines, scenes, segments, texts, wheels

HAVE_FONTS = (fonts.folder() / "fonts").is_dir()


class Segments(unittest.TestCase):
    def test_no_two_digits_look_alike(self):
        forms = [frozenset(f) for d, all_of_it in segments.DIGITS.items() for f in all_of_it]
        self.assertEqual(len(forms), len(set(forms)))

    def test_what_is_no_digit_looks_like_none(self):
        digits = {frozenset(f) for all_of_it in segments.DIGITS.values() for f in all_of_it} | {frozenset("ef")}
        self.assertFalse([o for o in segments.OTHERS if frozenset(o) in digits])

    def test_polygons_stay_near_the_cell(self):
        rng = np.random.default_rng(3)
        for _ in range(50):
            style = segments.Style.draw(rng, False)
            for polygon in segments.polygons(style).values():
                for x, y in polygon:
                    self.assertTrue(-0.25 <= x <= style.width + 0.25 and -0.01 <= y <= 1.01)


class Texts(unittest.TestCase):
    def test_displays_hold_known_classes_only(self):
        rng = np.random.default_rng(1)
        for _ in range(500):
            text = texts.display(rng)
            self.assertTrue(set(text) <= set(lines.CLASSES), text)
            self.assertEqual([lines.CLASSES[c - 1] for c in lines.encode(text)], list(text))

    def test_every_digit_at_every_place(self):
        rng = np.random.default_rng(2)
        seen = {(i, c) for _ in range(3000) for i, c in enumerate(texts.digits(rng, 5))}
        self.assertEqual(len(seen), 50)

    def test_steps_that_ctc_needs(self):
        self.assertEqual(lines.needed("100.5"), 6)


class Wheels(unittest.TestCase):
    def test_carry(self):
        self.assertEqual(counter.values("1999", 0.5), [1.5, 9.5, 9.5, 9.5])
        self.assertEqual(counter.values("123", 0.25), [1, 2, 3.25])

    def test_nearest_digits(self):
        self.assertEqual(counter.nearest([1.6, 9.6, 9.6]), "200")
        self.assertEqual(counter.nearest([1.4, 9.4, 9.4]), "199")


@unittest.skipUnless(HAVE_FONTS, "no fonts: python3 -m train fonts")
class Samples(unittest.TestCase):
    def test_same_seed_same_picture(self):
        for number in (0, 5, 11):
            kinds = [s for s in lines.KINDS if s[0] != "real"]
            a, b = (lines.sample(9, number) for _ in range(2))
            self.assertTrue(kinds and np.array_equal(a[0], b[0]))
            self.assertEqual(a[1:], b[1:])
        self.assertFalse(np.array_equal(lines.sample(9, 1)[0], lines.sample(10, 1)[0]))

    def test_same_seed_same_wheel_and_scene(self):
        for module in (wheels, scenes):
            for number in (0, 3):
                a, b = (module.sample(9, number) for _ in range(2))
                self.assertTrue(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]))

    def test_form(self):
        for number in range(25):
            picture, text, _ = lines.sample(4, number)
            self.assertEqual((picture.shape[0], picture.shape[2], picture.dtype), (32, 3, np.uint8))
            self.assertLessEqual(picture.shape[1], lines.WIDEST)
            self.assertLess(lines.needed(text), picture.shape[1] / 4)

    def test_a_wheel_moves_up(self):
        rng = np.random.default_rng(1)
        look = counter.Look.draw(rng)
        look.squeeze, look.shade, look.ground, look.ink = 0.05, 0.0, np.zeros(3), np.full(3, 255.0)
        rows = np.arange(64)[:, None, None]
        middle = [float((counter.window(rng, look, 3 + part, 64, 40)[:40] * rows[:40]).sum()) for part in (0.0, 0.2)]
        self.assertNotEqual(middle[0], middle[1])


if __name__ == "__main__":
    unittest.main()
