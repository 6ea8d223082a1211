"""Runs tests/browser/run against a server of its own: a fresh data folder with the samples' regulations."""
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from appliance import SAMPLES, Appliance  # noqa: E402

QUESTION = "여객선 운임 지원은 월 몇 회까지 받을 수 있습니까?"

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
        "JIPHYEON_PAGE_SEARCH": "연안침식 등급판정위원회 구성",  # is answered from a PDF
    }
    status = subprocess.run([HERE / "run"], env=environment, check=False).returncode
finally:
    appliance.close()
sys.exit(status)
