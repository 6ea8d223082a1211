"""Runs tests/browser/run against a server of its own: a fresh data folder with the samples' regulations."""
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from appliance import SAMPLES, Appliance  # noqa: E402

QUESTION = "지금 기준으로 섬에 사는 사람이 배삯 지원을 받을 수 있는 건 한 달에 몇 번까지인가요?"

appliance = Appliance()
try:
    appliance.add_user("reader", "--role", "user", "--clearance", "internal")
    appliance.run("ingest", SAMPLES / "public" / "규정", "--label", "public")
    appliance.start()
    environment = {
        **os.environ,
        "JIPHYEON_ADDRESS": appliance.address,
        "JIPHYEON_ACCOUNT": "reader",
        "JIPHYEON_PASSWORD": appliance.passwords["reader"],
        "JIPHYEON_QUESTION": QUESTION,
    }
    status = subprocess.run([HERE / "run"], env=environment, check=False).returncode
finally:
    appliance.close()
sys.exit(status)
