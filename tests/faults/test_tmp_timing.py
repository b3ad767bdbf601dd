import time, signal, os
from tests.faults.conftest import *
from tests.faults.test_crash_points import is_done, NOT_DONE
from datetime import UTC, datetime
def cpu():
    return sum(os.times()[:4])
def test_t(house):
    t=time.time()
    def lap(n):
        nonlocal t
        print(f"LAP {n} {time.time()-t:.2f}"); t=time.time()
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url); lap("found")
    made2 = house.nursery.call("tests.faults.seeding:verify"); lap("verify")
    ids = [f"row {i}" for i in range(20)]
    predictions = [{"id": id, "timestamp": datetime.now(UTC).isoformat(), "prediction": 1, "features": {"x": 1.0}} for id in ids]
    house.nursery.call("tests.faults.seeding:send", model=made["model"], stream="predictions", rows=predictions, batch_id="first"); lap("send")
    house.nursery.call("tests.faults.seeding:send", model=made["model"], stream="metrics", rows=[{"name": "mape", "value": 18.4}], batch_id="second"); lap("send")
    w = house.nursery.worker()
    left=set(NOT_DONE)
    while left:
        for sql in list(left):
            if not house.number(sql):
                left.discard(sql); lap(sql)
        time.sleep(0.01)
    house.nursery.kill(w, how=signal.SIGTERM); lap("kill")
    print(house.nursery.log()[-3000:])
