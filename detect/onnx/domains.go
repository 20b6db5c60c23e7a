package onnx

import (
	"fmt"
	"maps"
	"slices"

	"detectd/detect"
)

// knownDomain says whether ONNX Runtime has operators of a domain by itself.
// Others come from libraries that are loaded into the process, which detectd does
// not do for any model.
func knownDomain(domain string) bool {
	switch domain {
	case "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc":
		return true
	}
	return false
}

// knowsOperators refuses nodes of domains that neither ONNX Runtime knows nor the
// file defines itself.
func (p *parser) knowsOperators() error {
	for _, domain := range slices.Sorted(maps.Keys(p.domains)) {
		if !knownDomain(domain) && !p.functions[domain] {
			return fmt.Errorf("%w: it has operators of the domain %.60q, which need a library of their own: export it without them", detect.ErrNotDetector, domain)
		}
	}
	return nil
}
