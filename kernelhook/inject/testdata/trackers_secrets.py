import json
import sys

given = json.load(sys.stdin)
exec(compile(given["install"], "<nbhush>", "exec"), {"__name__": "nbhush_install", "sources": given["sources"]})
from nbhush import _trackers

print(json.dumps([_trackers.is_secret(name, value) for name, value in given["input"]]))
