//! Configurations that are refused: what is wrong, and the file.

/// Each mistake is a whole file.
pub(crate) const MISTAKES: [(&str, &str); 27] = [
    ("unknown key", "bord = \"reference\"\n"),
    ("no segment", "board = \"reference\"\n"),
    (
        "a topology of two",
        "board = \"reference\"\ntopology = \"parallel\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n",
    ),
    (
        "no ports",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\n",
    ),
    (
        "one port",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\"]\n",
    ),
    (
        "one port twice",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"p\"]\n",
    ),
    (
        "a port in two segments",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[segment]]\nname = \"b\"\nports = [\"q\", \"r\"]\n",
    ),
    (
        "a bad name",
        "board = \"reference\"\n[[segment]]\nname = \"LAN 1\"\nports = [\"p\", \"q\"]\n",
    ),
    (
        "an unknown segment",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nat = \"segmnt1\"\nports = [\"p\", \"q\"]\n",
    ),
    (
        "a gap",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nat = \"segment2\"\nports = [\"p\", \"q\"]\n",
    ),
    (
        "a family needs the pair",
        "board = \"lanner-gen3/mb-8771\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n",
    ),
    (
        "a board that cannot disconnect",
        "board = \"lanner-gen3/mb-8771\"\n[[segment]]\nname = \"a\"\nat = \"slot1.pair1\"\nports = [\"p\", \"q\"]\nfail = \"disconnect\"\n",
    ),
    (
        "fail to normal",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\nfail = \"normal\"\n",
    ),
    (
        "a wired setting",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\npower_off = \"disconnect\"\n",
    ),
    (
        "one bit for all",
        "board = \"caswell-gen2/car-3000\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\nexpiry = \"disconnect\"\n",
    ),
    (
        "kicks too rare",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[dead_man]\nperiod_ms = 300\nkick_every_ms = 200\n",
    ),
    (
        "no dead-man to set",
        "board = \"gpio-latching\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[dead_man]\nperiod_ms = 300\n",
    ),
    (
        "a bus on a board without",
        "board = \"gpio-latching\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[adapter]\nbus = \"/dev/fencepost/smbus\"\n",
    ),
    (
        "a bus by probe order",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[adapter]\nbus = \"/dev/i2c-3\"\n",
    ),
    (
        "a key of another kind",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"tcp\"\naddress = \"127.0.0.1:80\"\nurl = \"http://127.0.0.1/\"\n",
    ),
    (
        "a check without its key",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"unit\"\n",
    ),
    (
        "a name to look up",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"http\"\nurl = \"http://localhost:80/\"\n",
    ),
    (
        "https",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"http\"\nurl = \"https://127.0.0.1/\"\n",
    ),
    (
        "a shell string",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"plugin\"\nargv = \"check_load -w 5\"\n",
    ),
    (
        "a program on the path",
        "board = \"reference\"\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"plugin\"\nargv = [\"check_load\"]\n",
    ),
    (
        "a check for a segment that is not there",
        "board = \"reference\"\n[[segment]]\nname = \"wan\"\nports = [\"p\", \"q\"]\n[[check]]\nname = \"c\"\nkind = \"memory\"\nmin_available_percent = 5\nsegments = [\"wann\"]\n",
    ),
    (
        "several at once",
        "board = \"reference\"\nread_every_ms = 1\n[[segment]]\nname = \"a\"\nports = [\"p\", \"q\"]\ncarrier_unwatched_because = \"\"\n[watchdog]\ntimeout_s = 4\npretimeout_s = 5\n[state]\ndir = \"var\"\n",
    ),
];
