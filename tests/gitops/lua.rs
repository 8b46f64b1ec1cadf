//! Lua as Argo CD runs scripts: the object is the global `obj`, and there is nothing but the basic functions,
//! `table`, and, by `require`, the two functions of `os` that tell the time. A script that uses more fails.

use mlua::serde::SerializeOptions;
use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib, Table, Value as LuaValue};
use serde_json::Value;

const OS: [&str; 2] = ["date", "time"];

/// What the script returns for the object.
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
fn a_script_has_no_more_than_argo_cd_gives_it() {
    let object = serde_json::json!({"n": 1});
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
