package rules

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// allow lists what each tree may import from this module: "x" is the package x
// itself, "x/..." is x and everything below it. The longest matching key wins.
// Imports of tests are free.
var allow = map[string][]string{
	"":         {"pipeline/cli"},
	"pipeline": {"pipeline/frame", "detect"},
	"detect":   {"pipeline/frame", "detect/..."},
	"render":   {"pipeline/frame", "detect", "render/..."},
	"store":    {"store/..."},
	"web":      {"pipeline", "pipeline/frame", "detect", "store", "web/..."},

	"pipeline/frame":    {"pipeline/frame/..."},
	"pipeline/config":   {"pipeline/config/..."},
	"pipeline/bus":      {"pipeline/bus/..."},
	"pipeline/rules":    {},
	"pipeline/e2e":      {},
	"pipeline/source":   {"pipeline", "pipeline/frame", "pipeline/source/..."},
	"pipeline/steady":   {"pipeline"},
	"pipeline/decode":   {"pipeline", "pipeline/frame", "pipeline/decode/..."},
	"pipeline/simulate": {"pipeline", "pipeline/frame", "pipeline/source/file", "pipeline/decode", "pipeline/simulate/..."},
	"pipeline/playback": {"pipeline", "pipeline/frame", "pipeline/decode", "pipeline/matrix", "pipeline/soundtrack", "pipeline/playback/..."},
	"pipeline/offline": {
		"pipeline", "pipeline/frame", "pipeline/source/file", "pipeline/decode", "pipeline/offline/...",
		"detect", "render/picture", "render/pixel",
	},
	"pipeline/modelcheck": {
		"pipeline/frame", "pipeline/offline", "detect", "detect/model", "render", "render/draw", "render/picture",
	},
	"pipeline/measure": {"pipeline/frame", "pipeline/offline", "detect"},
	// The rules of promotion are pure; what is watched comes over the bus.
	"pipeline/promote": {"pipeline", "pipeline/frame", "pipeline/bus", "pipeline/promote/...", "detect", "detect/agree", "store"},
	"pipeline/registry": {
		"pipeline", "pipeline/frame", "pipeline/registry/...", "detect", "detect/model", "detect/ort", "detect/provider", "store",
	},
	"pipeline/camera": {
		"pipeline", "pipeline/frame", "pipeline/bus", "pipeline/decode", "pipeline/activity", "pipeline/steady", "pipeline/camera/...",
		"detect", "detect/batch", "store",
	},
	// What cameras miss is measured with everything around a camera.
	"pipeline/camera/proof": {"pipeline/...", "detect", "store"},
	// How sound is described in files is known to those that write and read them.
	"pipeline/soundtrack": {"pipeline"},
	"pipeline/matrix":     {"pipeline/frame"},
	// Stages know each other only over the bus.
	"pipeline/stage": {
		"pipeline", "pipeline/frame", "pipeline/bus", "pipeline/playback", "pipeline/decode", "pipeline/offline", "pipeline/matrix", "pipeline/soundtrack",
		"detect", "detect/batch", "detect/assign", "detect/agree", "render", "render/...", "store",
	},
	// Scenes are painted as videos, and detectd is measured on what is in them.
	"pipeline/scene":          {"detect", "render/video", "pipeline/scene/..."},
	"pipeline/scene/leverage": {"pipeline", "pipeline/frame", "pipeline/scene", "pipeline/stage/...", "detect/...", "store"},

	"pipeline/pull": {"pipeline/pull/..."},

	"pipeline/doctor": {"pipeline/decode", "pipeline/doctor/...", "detect/ort", "detect/provider", "store/folder"},

	// The composition roots put everything together.
	"pipeline/bench":  {"pipeline/...", "detect/...", "render/...", "store/...", "web/..."},
	"pipeline/daemon": {"pipeline/...", "detect/...", "render/...", "store/...", "web/..."},
	"pipeline/cli":    {"pipeline/...", "detect/...", "render/...", "store/...", "web/..."},
}

func TestDependencyDirection(t *testing.T) {
	for _, p := range packages(t) {
		check(t, direction(p.path(), p.Imports))
	}
}

// direction returns a line for each import that the table does not allow.
func direction(pkg string, imports []string) (broken []string) {
	key, rules := rulesFor(pkg)
	if key == "" && pkg != "" {
		return []string{pkg + " is in a new top-level folder: give it a row in the table, or another place"}
	}
	for _, imported := range imports {
		name, ours := strings.CutPrefix(imported, module+"/")
		if ours && !slices.ContainsFunc(rules, func(rule string) bool { return covers(rule, name) }) {
			broken = append(broken, pkg+" must not import "+name)
		}
	}
	return broken
}

func rulesFor(pkg string) (key string, rules []string) {
	for key := pkg; ; key = key[:max(0, strings.LastIndex(key, "/"))] {
		if rules, ok := allow[key]; ok || key == "" {
			return key, rules
		}
	}
}

func covers(rule, pkg string) bool {
	tree, ok := strings.CutSuffix(rule, "/...")
	return pkg == tree || ok && strings.HasPrefix(pkg, tree+"/")
}

func TestDependencyDirectionCatches(t *testing.T) {
	bad := map[string][]string{
		"":                     {"pipeline/daemon"},
		"detect/bad":           {"pipeline"},
		"store/bad":            {"detect"},
		"web/bad":              {"store/sqlite"},
		"render/bad":           {"store"},
		"pipeline":             {"pipeline/bus"},
		"pipeline/new":         {"pipeline/bus"},
		"pipeline/stage/bad":   {"pipeline/source/rtsp"},
		"pipeline/stage/worse": {"pipeline/stage/infer"},
		"pipeline/source/bad":  {"pipeline/stage/infer"},
		"pipeline/frame":       {"pipeline"},
		"pipeline/camera":      {"pipeline/daemon"},
		"pipeline/daemon/":     {"train"},
		"pipeline/framework/x": {"pipeline/frame/deep"},
	}
	for pkg, imports := range bad {
		require.Len(t, direction(pkg, []string{"fmt", module + "/" + imports[0]}), 1, "%s imports %s", pkg, imports[0])
	}
	require.Len(t, direction("helpers", nil), 1, "a new top-level folder")

	good := map[string]string{
		"": "pipeline/cli", "pipeline/cli": "pipeline/daemon", "pipeline/daemon": "store/sqlite",
		"detect/yolox": "detect", "detect": "pipeline/frame", "pipeline/stage/render": "render/draw", "web/api": "web/auth",
	}
	for pkg, imported := range good {
		require.Empty(t, direction(pkg, []string{module + "/" + imported}), "%s imports %s", pkg, imported)
	}
}
