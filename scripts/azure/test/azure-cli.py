# Gives calls to Azure CLI, in its own Python: a process for each would take most of the time. On standard input a list of lists of arguments, as JSON; on
# standard output a list of what it says of those that it does not take: nothing where all go as far as the sign-in, which there is none of.
import contextlib
import io
import json
import sys

from azure.cli.core import get_default_cli

refused = []
told = io.StringIO()
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
    for args in json.load(sys.stdin):
        # The same for all calls: what Azure CLI logs goes to the standard error of the first one.
        told.seek(0)
        told.truncate()
        # A file that a call was made with may be gone, and is read before the sign-in.
        given = [__file__ if before == "--file" else arg for before, arg in zip(["", *args], args)]
        try:
            code = get_default_cli().invoke(given)
        except SystemExit as end:
            code = end.code
        if code != 0 and "Please run 'az login'" not in told.getvalue():
            said = told.getvalue().partition("ERROR: ")[2].partition("\n")[0]
            refused.append(f"az {' '.join(args)}: {said or f'exit code {code}'}")
json.dump(refused, sys.stdout)
