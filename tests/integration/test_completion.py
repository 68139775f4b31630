"""What the shells complete: bash and zsh ask the program, which reads its own usage."""
import os
import re
import shutil
import subprocess

import pytest

from daemon import SOURCE_DIR, binary_with_switches

FOLDER = SOURCE_DIR / "deploy/completion"
# The function of zsh's own completion that is called at the end is replaced by one that prints what it was given.
ZSH = """
_describe() { print -rl -- "${(@P)4}"; }
_files() { print -r -- FILES; }
words=("$@"); CURRENT=$#; set --
source "$SCRIPT"
"""


def complete(*words):
    """What the program says may stand in the place of the last word."""
    result = subprocess.run([binary_with_switches(), "complete", "--", *words], capture_output=True, text=True, check=True)
    return [line.partition("\t")[0] for line in result.stdout.splitlines()]


def bash(*words):
    """COMPREPLY for a command line of these words."""
    script = 'source "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _containment_chamber; printf "%s\\n" "${COMPREPLY[@]}"'
    environment = {"SCRIPT": str(FOLDER / "bash/containment-chamber"), "PATH": os.environ["PATH"]}
    result = subprocess.run(["bash", "--norc", "-c", script, "bash", binary_with_switches(), *words], capture_output=True, text=True,
                            check=True, env=environment)
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if line]


def test_bash_completes_commands_subcommands_options_and_choices():
    usage = subprocess.run([binary_with_switches(), "help"], capture_output=True, text=True, check=True).stdout
    assert bash("") == re.findall(r"^  (\w+) ", usage, flags=re.M)
    assert bash("sl") == ["slashing"]
    assert bash("help", "sl") == ["slashing"]
    assert bash("slashing", "ex") == ["export"]
    assert set(bash("slashing", "export", "--to")) == {"--to"}
    assert set(bash("keys", "import", "--from", "")) == {"hashicorp", "aws-secrets", "azure", "gcp"}
    assert set(bash("keys", "import", "--ta")) == {"--tags"} and set(bash("keys", "import", "--fi")) == {"--filter"}
    assert bash("server", "--signing-engine", "i") == ["ifma"]
    assert set(bash("operator", "rotate", "m")) == {"mode", "master"}
    assert bash("operator", "rotate", "mode", "--mode", "l") == ["local"]
    assert bash("slashing", "export", "--to", "") == []  # a file: bash's own


def test_every_subcommand_that_is_completed_is_one():
    """Its own word is not what is refused."""
    for command in ("config", "slashing", "auth", "keys", "operator", "audit", "attest", "enclave", "migrate"):
        words = sorted(set(complete(command, "")))
        assert words and not words[0].startswith("-"), command
        for word in words:
            seconds = [second for second in set(complete(command, word, "")) if not second.startswith("-")]
            for path in [[word, second] for second in seconds] or [[word]]:
                result = subprocess.run([binary_with_switches(), command, *path, "--no-such-option"], capture_output=True, text=True,
                                        check=False, stdin=subprocess.DEVNULL)
                said = result.stderr.splitlines()[0] if result.stderr else ""
                assert result.returncode in (1, 2, 3), (command, path, said)
                assert not re.search(rf"\b{word}\b.*\?$|not understood: {word}$", said), (command, path, said)
        unknown = subprocess.run([binary_with_switches(), command, "no-such-word"], capture_output=True, text=True, check=False)
        assert unknown.returncode == 2, "the control: a word that is none is refused"


def test_nothing_is_said_of_what_there_is_not():
    for words in (["nonsense", ""], ["room", ""], ["complete", ""], ["server", "-c", ""]):
        assert complete(*words) == []
    result = subprocess.run([binary_with_switches(), "complete"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "complete" not in complete("")


def test_zsh_completes_the_same(workdir):
    if shutil.which("zsh") is None:
        pytest.skip("left out: no zsh")
    script = workdir / "script"
    script.write_text(ZSH)

    def zsh(*words):
        environment = {"SCRIPT": str(FOLDER / "zsh/_containment-chamber"), "PATH": os.environ["PATH"]}
        result = subprocess.run(["zsh", "-f", script, binary_with_switches(), *words], capture_output=True, text=True, check=True,
                                env=environment)
        assert result.stderr == ""
        return result.stdout.splitlines()

    assert [line.partition(":")[0] for line in zsh("")] == complete("")
    assert "server:run the signer" in zsh("s")
    assert zsh("keys", "import", "--from", "") == complete("keys", "import", "--from", "")
    assert zsh("server", "-c", "") == ["FILES"]
