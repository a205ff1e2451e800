"""Runs jupyter_kernel_test on a kernel and prints each test's result as JSON.

usage: kernel_contract.py KERNEL > results.json
"""

import json
import sys
import unittest

import jupyter_kernel_test


class Contract(jupyter_kernel_test.KernelTests):
    kernel_name = sys.argv[1]
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [{"text": "zi", "matches": {"zip"}}]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('no')"
    code_execute_result = [{"code": "1+2+3", "result": "6"}]
    code_display_data = [{"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"}]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class Results(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.by_name = {}

    def name(self, test):
        return test.id().rsplit(".", 1)[-1]

    def startTest(self, test):
        super().startTest(test)
        self.by_name.setdefault(self.name(test), "ok")

    def addFailure(self, test, err):
        self.by_name[self.name(test)] = "failed"

    def addError(self, test, err):
        self.by_name[self.name(test)] = "error"

    def addSkip(self, test, reason):
        self.by_name[self.name(test)] = "skipped"

    def addSubTest(self, test, subtest, err):
        if err is not None:
            key = self.name(test) + " (subtests)"
            self.by_name[key] = self.by_name.get(key, 0) + 1


results = Results()
unittest.defaultTestLoader.loadTestsFromTestCase(Contract).run(results)
json.dump(results.by_name, sys.stdout, sort_keys=True)
