//! Lua as Argo CD runs scripts: the object is the global `obj`, and a script has only the basic functions, `table`,
//! and, by `require`, the two functions of `os` that return the time. A script that uses more fails.

use std::process::Command;

use cde_sandbox::process;
use mlua::serde::SerializeOptions;
use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib, Table, Value as LuaValue};
use serde_json::{Value, json};

use crate::gitops::cases::cases;
use crate::gitops::kept::text;
use crate::tools::tools;

const OS: [&str; 2] = ["date", "time"];

/// Returns the result of the script for the object.
pub(crate) fn run(script: &str, object: &Value) -> Value {
    try_run(script, object).unwrap_or_else(|error| panic!("{error}\n{script}"))
}

fn try_run(script: &str, object: &Value) -> mlua::Result<Value> {
    let lua = Lua::new_with(StdLib::PACKAGE | StdLib::TABLE | StdLib::OS, LuaOptions::default())?;
    confine(&lua)?;
    let options = SerializeOptions::new()
        .set_array_metatable(false)
        .serialize_none_to_null(false)
        .serialize_unit_to_null(false);
    lua.globals().set("obj", lua.to_value_with(object, options)?)?;
    lua.from_value(lua.load(script).eval::<LuaValue>()?)
}

fn confine(lua: &Lua) -> mlua::Result<()> {
    let os: Table = lua.globals().get("os")?;
    for name in os.pairs::<String, LuaValue>().map(|pair| pair.map(|(name, _)| name)) {
        let name = name?;
        if !OS.contains(&name.as_str()) {
            os.set(name, LuaValue::Nil)?;
        }
    }
    lua.globals().set("os", LuaValue::Nil)
}

#[test]
fn a_script_has_only_the_functions_that_argo_cd_provides() {
    let object = json!({"n": 1});
    for (script, allowed) in [
        ("return {require('os').time() > 0, table ~= nil, ipairs ~= nil}", true),
        ("return {os.time()}", false),
        ("return {require('os').getenv('HOME')}", false),
        ("return {('a'):upper()}", false),
        ("return {string.format('a')}", false),
        ("return {math.floor(1.5)}", false),
        ("return {io.write('')}", false),
    ] {
        assert_eq!(try_run(script, &object).is_ok(), allowed, "{script}");
    }
}

/// Returns the results of scripts and objects in the interpreter that Argo CD embeds.
async fn run_as_argo_cd(tasks: &[Value]) -> Vec<Value> {
    let done = process::output(Command::new(&tools().await.gopher_lua), &serde_json::to_vec(tasks).unwrap())
        .await
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[tokio::test]
async fn the_interpreter_of_argo_cd_returns_the_same_for_every_case() {
    let scripts = [
        "health.lua",
        "actions/discovery.lua",
        "actions/retry/action.lua",
        "actions/suspend/action.lua",
        "actions/resume/action.lua",
    ];
    let (mut tasks, mut here) = (Vec::new(), Vec::new());
    for case in cases().await {
        for script in scripts {
            let script = text(case.kind, script);
            here.push(run(&script, &case.object));
            tasks.push(json!({"script": script, "object": case.object}));
        }
    }
    let mut there = run_as_argo_cd(&tasks).await;
    assert_eq!(there.len(), here.len());
    for result in here.iter_mut().chain(&mut there) {
        // The seconds of a retry may differ. The tests of the actions check that the time is the present one.
        let asked = result.pointer_mut("/metadata/annotations/cde.productsup.com~1retry");
        if let Some(asked) = asked {
            assert!(asked.as_str().is_some_and(|time| time.len() == 20), "{asked}");
            *asked = json!("now");
        }
    }
    assert_eq!(there, here);
}
