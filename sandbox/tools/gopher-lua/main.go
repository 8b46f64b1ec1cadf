// Runs Lua scripts on Kubernetes objects in the interpreter that Argo CD embeds, with no more than Argo CD opens to
// them: the basic functions, `table`, `require`, and of `os` the functions `date` and `time`, by `require` alone.
//
// Standard input is a JSON list of {"script": …, "object": …}; the script sees the object as the global `obj`.
// Standard output is a JSON list of what the scripts return, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
)

type task struct {
	Script string `json:"script"`
	Object any    `json:"object"`
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, member := range value {
			table.Append(toLua(state, member))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for name, member := range value {
			table.RawSetString(name, toLua(state, member))
		}
		return table
	default:
		return lua.LNil
	}
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	case lua.LString:
		return string(value)
	case *lua.LTable:
		if length := value.Len(); length > 0 {
			list := make([]any, 0, length)
			for index := 1; index <= length; index++ {
				list = append(list, fromLua(value.RawGetInt(index)))
			}
			return list
		}
		members := map[string]any{}
		value.ForEach(func(name, member lua.LValue) { members[name.String()] = fromLua(member) })
		return members
	default:
		return nil
	}
}

// The two functions of `os` that tell the time.
func loadOs(state *lua.LState) int {
	whole := lua.NewState()
	defer whole.Close()
	functions := whole.GetGlobal("os").(*lua.LTable)
	safe := state.NewTable()
	for _, name := range []string{"date", "time"} {
		safe.RawSetString(name, state.NewFunction(functions.RawGetString(name).(*lua.LFunction).GFunction))
	}
	state.Push(safe)
	return 1
}

func run(task task) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// The package library first: the others register with it.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, loadOs)
	state.SetGlobal("obj", toLua(state, task.Object))
	if err := state.DoString(task.Script); err != nil {
		return nil, err
	}
	return fromLua(state.Get(-1)), nil
}

func all() error {
	var tasks []task
	if err := json.NewDecoder(os.Stdin).Decode(&tasks); err != nil {
		return fmt.Errorf("standard input is no JSON list of tasks: %w", err)
	}
	results := make([]any, 0, len(tasks))
	for index, task := range tasks {
		result, err := run(task)
		if err != nil {
			return fmt.Errorf("task %d: %w", index, err)
		}
		results = append(results, result)
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func main() {
	if err := all(); err != nil {
		fmt.Fprintln(os.Stderr, "gopher-lua:", err)
		os.Exit(1)
	}
}
