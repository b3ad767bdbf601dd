from tests.platform import Platform
from tests.risks.story import a_bad_day, normal_rows


def test_story_of_a_sensor_that_answers_999(platform: Platform) -> None:
    good = normal_rows()
    bad = [{"x": row["x"] if n % 4 else 999} for n, row in enumerate(good)]
    a_bad_day(platform, "out_of_range", says="x: 25 % of the rows outside", bad=bad, good=good)
