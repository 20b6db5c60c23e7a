package model

import (
	"encoding/json"
	"fmt"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Seal writes the contract of a derived model, and what it was derived from, into
// its file.
func Seal(data []byte, c detect.Contract, l detect.Lineage) ([]byte, error) {
	contract, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode contract: %w", err)
	}
	lineage, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode lineage: %w", err)
	}
	data = onnx.WithMetadata(data, detect.MetadataKey, string(contract))
	return onnx.WithMetadata(data, detect.LineageKey, string(lineage)), nil
}

// Lineage returns what a file says that it was derived from, as JSON; nil when it
// says nothing that can be read.
func Lineage(data []byte) json.RawMessage {
	m, err := onnx.Parse(data)
	if err != nil {
		return nil
	}
	var l detect.Lineage
	if json.Unmarshal([]byte(m.Metadata[detect.LineageKey]), &l) != nil || l.Parent == "" {
		return nil
	}
	text, err := json.Marshal(l) // without what else may stand there
	if err != nil {
		return nil
	}
	return text
}
