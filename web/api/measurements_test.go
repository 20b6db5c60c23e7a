package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeasurements(t *testing.T) {
	f := newFixture(t)
	const path = "/models/default/versions/1"
	a := f.do("POST", path+"/speed", "").want(201)
	require.InDelta(t, 12, a.get("p95_ms"), 0)
	figures := `"figures":[0.3,0.5,0.3,0.1,0.2,0.6,0.3,0.4,0.42,-1,0.3,0.6]`
	f.do("POST", path+"/measurements", `{"kind":"accuracy","machine":"here","provider":"cpu","dataset":"street","digest":"d","pictures":128,`+figures+`}`).want(201)
	require.Equal(t, []any{"accuracy", "speed"}, f.do("GET", path+"/measurements", "").want(200).all("kind"))

	m := f.do("GET", "/models/default", "").want(200)
	require.InDelta(t, 0.3, m.get("versions.0.measured.0.figures.0"), 0)
	require.Equal(t, "here", m.get("versions.0.measured.1.machine"))
	require.Equal(t, "street", f.do("GET", "/models", "").want(200).get("items.0.versions.0.measured.0.dataset"))
	require.Equal(t, []string{"models", "models"}, f.Announced())

	for _, bad := range []string{
		`{"kind":"accuracy","machine":"here","provider":"cpu","dataset":"street"}`,
		`{"kind":"accuracy","machine":"here","provider":"cpu","dataset":"street","figures":[2,0,0,0,0,0,0,0,0,0,0,0]}`,
		`{"kind":"speed","machine":"here","provider":"cpu","samples":3}`,
		`{"kind":"speed","machine":"here","provider":"cpu","samples":3,"p95_ms":1,` + figures + `}`,
		`{"kind":"size","machine":"here","provider":"cpu"}`,
	} {
		f.do("POST", path+"/measurements", bad).want(422)
	}
	f.do("POST", "/models/default/versions/7/speed", "").want(404)
	f.do("POST", "/models/default/versions/7/measurements", `{"kind":"speed","machine":"here","provider":"cpu","samples":3,"p95_ms":1}`).want(404)
	f.do("GET", "/models/none/versions/1/measurements", "").want(404)
}
