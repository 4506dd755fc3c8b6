//! Every mistake in a configuration of a node or a worker gets one line that names the key, exit code 2, and shows no
//! secret.
#![cfg(feature = "node")]

mod files;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use support::config_errors::*;
use support::{finish, program};

#[test]
fn the_least_configuration_is_right() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("node.toml");
    fs::write(&path, node("", "", "", "").text).expect("written");
    let output = program().args(["node", "--check-config", "--config"]).arg(&path).output().expect("run");
    let (code, out, err) = finish(output);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn shape() {
    let dir = tempfile::tempdir().expect("a folder");
    let many: String = (0..65).map(|i| format!("[[field]]\nname = 'f{i}'\n")).collect();
    let mistakes = [
        whole("", "no [source]"),
        whole("[source]\nkind = 'directory'\npath = 'in'", "no [[field]]"),
        whole("[sources]\nkind = 'directory'", "did you mean `source`"),
        whole("source = 3\n", "line 1"),
        whole("[source\n", "line 1"),
        whole("[source]\nkind = 'directory'\npath = 'a'\npath = 'b'\n", "path"),
        more("[[field]]\nname = 'a'", "two fields named a"),
        ConfigError { text: format!("[source]\nkind = 'directory'\npath = 'in'\n{many}"), said: "at most 64" },
        more("[nodes]\n", "did you mean `node`"),
        more("[node]\nstate_dirs = 'x'", "did you mean `state_dir`"),
        more("[node]\nsave_interval_s = 0", "save_interval_s"),
        more("[node]\nstate_dir = ''", "[node] state_dir is empty"),
        more("[node]\nstate_dir = 'Cargo.toml'", "Cargo.toml is not a folder"),
        more("[node]\nstate_dir = 'Cargo.toml/state'", "Cargo.toml is not a folder"),
        more("[node]\nstats_interval_s = -1", "stats_interval_s"),
        more("[node]\npayload = 'jsno'", "did you mean `json`"),
        more("[node]\nprint = 'yes'", "print"),
        more("[trigger]\ninterval = 3", "did you mean `interval_s`"),
        more("[trigger]\ninterval_s = 0", "interval_s is 0"),
        more("[trigger]\ninterval_s = nan", "interval_s is NaN"),
        more("[trigger]\ninterval_s = '1m'", "interval_s"),
        more("[trigger]\ninterval_s = 1\ncron = '* * * * *'", "interval_s and cron are both given"),
        more("[trigger]\ncron = 'every day'", "cron"),
        more("[trigger]\ncron = '* * 30 2 *'", "no time ever fits"),
        more("[pipeline]\nthreads = 0", "threads must be"),
        more("[pipeline]\nlimits.max_bytes = 0", "limits.max_bytes is 0"),
        more("[pipeline]\nlimits.max_width_px = 0", "limits.max_width_px is 0"),
        more("[pipeline]\nlimits.max_height_px = 0", "limits.max_height_px is 0"),
        more("[pipeline]\nlimits.max_pixels = 0", "limits.max_pixels is 0"),
        more("[pipeline]\nlimits.max_decode_bytes = 1048576", "limits.max_decode_bytes is 1048576"),
        more("[pipeline]\nrec_score_thresh = 7.0", "rec_score_thresh must be"),
        more("[pipeline]\nrec_score_thresh = 0.7", "rec_score_thresh has no effect"),
        more("[pipeline]\nrecognise = { allowed_chars = '01' }", "recognise.allowed_chars has no effect"),
        more("[pipeline]\nthreds = 1", "did you mean `threads`"),
        more("[pipeline]\nregions = ['0,0,10,10']", "regions"),
        more("[image]\nmax_bytes = 3", "max_bytes"),
        more("[image]\nquality = 0", "quality"),
        more("[align]\n", "align: 0 marks"),
        more("[align]\n[[align.marks]]\nimage = 'DIR/no-such.png'", "no-such.png"),
        more("[align]\nsearch_px = 0\n[[align.marks]]\nimage = 'a.png'", "search_px"),
    ];
    check_all("node", &mistakes, dir.path());
}

#[test]
fn sources() {
    let dir = tempfile::tempdir().expect("a folder");
    let mistakes = [
        source("path = 'in'", "kind is missing"),
        source("kind = 'mjpg'\nurl = 'http://a/b'", "did you mean mjpeg"),
        source("kind = 7", "kind is not text"),
        source("kind = 'directory'", "path of the directory source is empty"),
        source("kind = 'directory'\npath = 'in'\nurl = 'http://a/b'", "url is not a key"),
        source("kind = 'directory'\npath = 'in'\npoll_msec = 3", "did you mean poll_ms"),
        source("kind = 'directory'\npath = 'in'\nafter = 'move'", "move_to"),
        source("kind = 'directory'\npath = 'in'\nmove_to = 'in'\nafter = 'move'", "another folder"),
        source("kind = 'directory'\npath = 'in'\nafter = 'burn'", "burn"),
        source("kind = 'directory'\npath = 'in'\ntimeout_ms = 3", "timeout_ms is 3"),
        source("kind = 'directory'\npath = 'in'\nrotate_deg = 45", "rotate_deg is 45"),
        source("kind = 'directory'\npath = 'in'\nmax_bytes = 0", "max_bytes is 0"),
        source("kind = 'directory'\npath = 'in'\nlimits = { max_px = 3 }", "max_px"),
        source("kind = 'directory'\npath = 'in'\nlimits = { max_pixels = 0 }", "[source] limits.max_pixels is 0"),
        source("kind = 'directory'\npath = 'in'\nbackoff_min_ms = 5000\nbackoff_max_ms = 1000", "backoff_max_ms"),
        source("kind = 'http'", "url is missing"),
        match cfg!(feature = "tls") {
            true => source("kind = 'http'\nurl = 'https://a/b'\nca_file = 'DIR/none'", "ca_file: "),
            false => source("kind = 'http'\nurl = 'https://camera/shot'", "https"),
        },
        source("kind = 'http'\nurl = 'http://a/b'\nfollow_redirects = 'everywhere'", "everywhere"),
        source("kind = 'http'\nurl = 'http://me:hunter2@camera/shot'", "username and password_file"),
        source("kind = 'http'\nurl = 'rtsp://camera/hunter2'", "http://"),
        source("kind = 'http'\nurl = 'http://a/b'\npassword_in_clear = 'hunter2'", "username"),
        source("kind = 'http'\nurl = 'http://a/b'\nusername = 'u'\npassword_file = 'DIR/none'", "/none cannot be read"),
        source(
            "kind = 'http'\nurl = 'http://a/b'\nusername = 'u'\npassword_env = 'EDGE_OCR_NOT_SET'",
            "EDGE_OCR_NOT_SET is not set",
        ),
        source("kind = 'http'\nurl = 'http://a/b'\nusername = 'u'\npassword_env = 'EDGE_OCR_TEST_EMPTY'", "is empty"),
        source(
            "kind = 'http'\nurl = 'http://a/b'\nusername = 'u'\npassword_credential = 'cam'",
            "CREDENTIALS_DIRECTORY is not set",
        ),
        source(
            "kind = 'http'\nurl = 'http://a/b'\nusername = 'u'\npassword_env = 'X'\npassword_in_clear = 'hunter2'",
            "both given",
        ),
        source(
            "kind = 'http'\nurl = 'http://a/b'\nusername = 'u'\npassword_in_clear = ['hunter2']",
            "password_in_clear",
        ),
        source("kind = 'mjpeg'\nurl = 'http://a/b'\nauth = 'none'", "none"),
        source("kind = 'command'", "command is empty"),
        source("kind = 'command'\ncommand = 'rpicam-still -o -'", "command"),
        source("kind = 'command'\ncommand = ['x']\nformat = 'rgb'", "width_px is 0"),
        source("kind = 'command'\ncommand = ['x']\nwidth_px = 10", "raw formats"),
        source("kind = 'v4l2'\ndevice = ''", "device is empty"),
        source("kind = 'v4l2'\nwarm_up_frames = 5000", "warm_up_frames"),
        source("kind = 'replay'", "path or files"),
        source("kind = 'replay'\npath = 'DIR/no-such-folder'", "no-such-folder"),
        source("kind = 'replay'\npath = 'tests/golden/digit.png'\nframes_per_s = 0", "frames_per_s is 0"),
    ];
    check_all("node", &mistakes, dir.path());
    #[cfg(not(all(feature = "v4l2", target_os = "linux")))]
    check_all("node", &[source("kind = 'v4l2'", "--features v4l2")], dir.path());
}

#[test]
fn fields_and_rules() {
    let dir = tempfile::tempdir().expect("a folder");
    let regex = format!("regex = '{}'", "a".repeat(2000));
    let mistakes = [
        whole("[source]\nkind = 'directory'\npath = 'in'\n[[field]]\n", "field name \"\""),
        whole("[source]\nkind = 'directory'\npath = 'in'\n[[field]]\nname = 'Main/+'\n", "Main/+"),
        whole("[source]\nkind = 'directory'\npath = 'in'\n[[field]]\nname = 7\n", "name"),
        field("colour = 'red'", "colour"),
        field("alowed_chars = '0'", "did you mean `allowed_chars`"),
        field("roi = '1,2,3'", "roi"),
        field("roi = '10%,20%,0%,5%'", "roi"),
        field("mode = 'word'", "word"),
        field("pattern = '[9'", "pattern"),
        field("allowed_chars = ''", "allowed_chars"),
        field("allowed_chars = '\u{e123}'", "allowed_chars"),
        field("rec_score_thresh = 2.0", "rec_score_thresh"),
        field("rotate_deg = 45", "rotate_deg"),
        field("enhance = ['magic']", "magic"),
        field("select = 'longest-lin'", "did you mean `longest-line`"),
        field("select = 'first-match'", "regex"),
        field("regex = '(\\d+'", "regex"),
        field("regex = '(a{1000}){1000}'", "regex"),
        field(&regex, "regex has 2000 bytes"),
        field("replace = { 'ab' = 'c' }", "replace"),
        field("number = 8", "number"),
        field("number = { digit = 8 }", "did you mean `digits`"),
        field("number = { digits = 99 }", "number.digits"),
        field("number = { decimals_shift = -20 }", "number.decimals_shift"),
        field("number = { decimal_separator = ';' }", "decimal_separator"),
        field("number = {}\nrange = [5, 1]", "range is [5, 1]"),
        field("number = {}\nrange = [5]", "range"),
        field("range = [0, 5]", "range is for numbers"),
        field("check = 'iso6364'", "did you mean `iso6346`"),
        field("check = 'luhn'\nnumber = {}", "check does not go with number"),
        field("correct_by_check = true", "correct_by_check"),
        field("min_confidence = 1.5", "min_confidence"),
        field("min_char_confidence = nan", "min_char_confidence"),
        field("vote = { frames = 0 }", "vote.frames"),
        field("vote = { min_share = 0.0 }", "vote.min_share"),
        field("monotonic = 'increasing'", "monotonic is for numbers"),
        field("number = {}\nmonotonic = 'up'", "up"),
        field("number = {}\nmax_rate_per_h = 3\nmax_rate_per_s = 1", "both limit the rate"),
        field("number = {}\nmax_rate_per_h = 0", "max_rate_per_h is 0"),
        field("number = {}\nmax_jump = -1.0", "max_jump"),
        field("number = {}\ndead_band = inf", "dead_band"),
        field("rebase_after = 5000", "rebase_after"),
        field("stale_after_s = 0", "stale_after_s"),
        field("unchanged_is_ok = false", "unchanged_is_ok"),
        field("publish = 'news'", "publish"),
        field("home_assistant = { device_clas = 'water' }", "did you mean `device_class`"),
        shown("number = { unit = 'm3' }\nhome_assistant = { device_class = 'water' }", "m³"),
        shown("number = {}\nhome_assistant = { device_class = 'watre' }", "water"),
        shown("home_assistant = { precision = 3 }", "precision is for numbers"),
        shown("home_assistant = { icon = 'counter' }", "mdi:counter"),
        shown("home_assistant = { expire_after_s = 60 }", "retain.state"),
        shown("number = {}\nhome_assistant = { state_class = 'total_increasing' }", "monotonic"),
        node("", "", "[discovery]\nenabled = true\n[node]\npayload = 'postcard'", "postcard"),
        node("", "", "[discovery]\nenabled = true\n[retain]\nstatus = false", "retain.status"),
        more("[discovery]\nprefix = 'a/#'", "prefix"),
        more("[discovery]\nenable = true", "did you mean `enabled`"),
    ];
    check_all("node", &mistakes, dir.path());
}

#[test]
fn brokers_topics_and_the_outbox() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut mistakes = vec![
        more("[mqtt]\nhots = 'x'", "did you mean `host`"),
        more("[mqtt]\nhost = ''", "mqtt.host is empty"),
        more("[mqtt]\nhost = 'mqtt://broker:1883'", "mqtt.host"),
        more("[mqtt]\nhost = 'me:hunter2@broker'", "mqtt.host"),
        more("[mqtt]\nport = 0", "mqtt.port"),
        more("[mqtt]\nport = 99999", "port"),
        more("[mqtt]\nport = '1883'", "port"),
        more("[mqtt]\nprotocol = '4'", "3.1.1"),
        more("[mqtt]\nprotocol = 5", "protocol"),
        more("[mqtt]\nclient_id = ''", "mqtt.client_id"),
        more("[mqtt]\nkeep_alive_s = 0", "mqtt.keep_alive_s"),
        more("[mqtt]\nconnect_timeout_ms = 1", "mqtt.connect_timeout_ms"),
        more("[mqtt]\nmax_packet_out_bytes = 10", "mqtt.max_packet_out_bytes"),
        more("[mqtt]\nbackoff_min_ms = 9000\nbackoff_max_ms = 1000", "mqtt.backoff_max_ms"),
        more("[mqtt]\npassword_in_clear = 'hunter2'", "mqtt.username"),
        more("[mqtt]\nusername = 'u'\npassword_in_clear = 'hunter2'\npassword_env = 'X'", "exclude"),
        more("[mqtt]\nusername = 'u'\npassword_in_clear = ['hunter2']", "password_in_clear"),
        more("[mqtt]\nusername = 'u'\npassword_in_clear = 'hunter2", "line 9"),
        more("[mqtt]\nusername = \"u\\u0000v\"", "mqtt.username"),
        more(&format!("[mqtt]\nusername = '{}'", "u".repeat(65_536)), "mqtt.username"),
        more(
            &format!("[mqtt]\nusername = 'u'\npassword_in_clear = '{}'", "hunter2".repeat(9_363)),
            "mqtt.password_in_clear",
        ),
        more("[mqtt]\nusername = 'u'\npasword_in_clear = 'hunter2'", "did you mean `password_in_clear`"),
        more("[mqtt]\nusername = 'u'\npassword_file = 'DIR/none'", "mqtt.password_file"),
        more("[mqtt]\nusername = 'u'\npassword_file = 'DIR'", "mqtt.password_file"),
        more("[mqtt]\nusername = 'u'\npassword_file = '/dev/zero'", "mqtt.password_file"),
        more("[mqtt]\nusername = 'u'\npassword_env = 'EDGE_OCR_NOT_SET'", "EDGE_OCR_NOT_SET"),
        more("[mqtt]\nusername = 'u'\npassword_env = 'EDGE_OCR_TEST_EMPTY'", "mqtt.password_env"),
        more("[mqtt]\nusername = 'u'\npassword_credential = 'p'", "mqtt.password_credential"),
        more("[mqtt]\nusername = 'u'\npassword_credential = '../p'", "mqtt.password_credential"),
        more("[topics]\nbase = 'a/+/b'", "base"),
        more("[topics]\nbase = ''", "base"),
        more("[topics]\nnode_id = 'a/b'", "node_id"),
        more("[topics]\nnode_id = 'ä'", "node_id"),
        more("[retain]\nstatus = 1", "status"),
        more("[publish]\nmax_volatile = 0", "publish.max_volatile"),
        more("[publish]\nlate_after_ms = 0", "publish.late_after_ms"),
        more("[outbox]\nmax_bytes = 1", "outbox.max_bytes"),
        more("[outbox]\nsegment_bytes = 1", "outbox.segment_bytes"),
        more("[outbox]\nmax_record_bytes = 0", "outbox.max_record_bytes"),
        more("[outbox]\nmemory_bytes = 0", "outbox.memory_bytes"),
        more("[metrics]\nlisten = '0.0.0.0:9877'", "metrics.listen"),
        more("[metrics]\nlisten = 9877", "listen"),
        more("[metrics]\nfile = '/run/metrics.txt'", "metrics.file"),
    ];
    #[cfg(not(feature = "tls"))]
    mistakes.push(more("[mqtt.tls]\n", "--features tls"));
    #[cfg(unix)]
    for (name, content, mode, said) in [
        ("open", &b"hunter2\n"[..], 0o644, "mqtt.password_file"),
        ("empty", b"\n", 0o600, "mqtt.password_file"),
        ("bytes", b"hunter2\xff", 0o600, "mqtt.password_file"),
        ("long", &b"hunter2".repeat(2000)[..], 0o600, "mqtt.password_file"),
    ] {
        secret_file(dir.path(), name, content, mode);
        mistakes.push(more(&format!("[mqtt]\nusername = 'u'\npassword_file = 'DIR/{name}'"), said));
        let camera = "kind = 'http'\nurl = 'http://a/b'\nusername = 'u'";
        mistakes.push(source(&format!("{camera}\npassword_file = 'DIR/{name}'"), "secret file"));
    }
    check_all("node", &mistakes, dir.path());
}

/// What is no mistake but cannot be done by this program has a code of its own.
#[cfg(not(feature = "tract"))]
#[test]
fn an_engine_that_is_not_here() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    for (verb, text) in
        [("node", more("[pipeline]\nengine = 'tract'", "").text), ("worker", "[pipeline]\nengine = 'tract'".to_owned())]
    {
        fs::write(&path, text).expect("written");
        let output = program().args([verb, "--check-config", "--config"]).arg(&path).output().expect("run");
        let (code, _, err) = finish(output);
        assert!(code == 6 && err.contains("--features tract") && err.lines().count() == 1, "{code} {err}");
    }
}

/// A password of digits alone, without quotes: what TOML says of the wrong type would show it.
#[test]
fn a_password_that_is_a_number_is_not_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let camera = "kind = 'http'\nurl = 'http://a/b'\nusername = 'u'";
    for (verb, text) in [
        ("node", more("[mqtt]\nusername = 'u'\npassword_in_clear = 82917364", "").text),
        ("node", source(&format!("{camera}\npassword_in_clear = 82917364"), "").text),
        ("node", source(&format!("{camera}\npassword_in_clear = 82917364.5"), "").text),
        ("worker", "[mqtt]\nusername = 'u'\npassword_in_clear = 82917364".to_owned()),
    ] {
        let path = dir.path().join("config.toml");
        fs::write(&path, &text).expect("written");
        let output = program().args([verb, "--check-config", "--config"]).arg(&path).output().expect("run");
        let (code, _, err) = finish(output);
        assert_eq!(code, 2, "{err}");
        assert!(!err.contains("82917364") && err.contains("quotes") && err.lines().count() == 1, "{text}{err}");
    }
}

#[test]
fn workers() {
    let dir = tempfile::tempdir().expect("a folder");
    let mistakes = [
        whole("nmae = 1", "there is no key `nmae`"),
        whole("[source]\nkind = 'v4l2'", "source"),
        whole("id = 'a/b'", "id must"),
        whole("group = ''", "group"),
        whole("base = 'a/+'", "base"),
        whole("base = 3", "base"),
        whole("max_job_bytes = 0", "max_job_bytes"),
        whole("receive_maximum = 0", "receive_maximum"),
        whole("receive_maximum = 70000", "receive_maximum"),
        whole("max_waiting = 0", "max_waiting"),
        whole("max_waiting_bytes = 1", "max_waiting_bytes"),
        whole("result_expiry_s = 0", "result_expiry_s"),
        whole("grace_ms = 60001", "grace_ms"),
        whole("[mqtt]\nhost = ''", "mqtt.host"),
        whole("[mqtt]\nusername = 'u'\npassword_file = 'DIR/none'", "mqtt.password_file"),
        whole("[mqtt]\npassword_in_clear = 'hunter2'", "mqtt.username"),
        whole("[pipeline]\nthreads = 0", "threads must be"),
        whole("[pipeline.recognise]\nallowed_chars = ''", "allowed_chars"),
    ];
    check_all("worker", &mistakes, dir.path());
}
