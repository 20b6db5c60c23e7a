// Package pull brings models from the network: it knows a catalogue of detectors
// that are free to use, and fetches files over connections that stall, break and
// lie.
package pull

import "fmt"

// Entry is a detector that can be pulled by its name.
type Entry struct {
	Name    string // also the name of the model that it becomes
	Title   string
	URL     string // of an ONNX file that does not change
	SHA256  string // of that file
	Bytes   int64  // of that file
	Licence string // SPDX
	Source  string // page of those who made it
	// AP is what they publish for it on COCO val2017, from 0 to 100.
	AP     float64
	Width  int // of the pictures it wants
	Height int
	// Contract are the keys that nothing in the file tells: docs/models.md.
	Contract map[string]string
}

// Description says what the model is, for people.
func (e Entry) Description() string {
	return fmt.Sprintf("%s, %dx%d, published AP on COCO %.1f, %s", e.Title, e.Width, e.Height, e.AP, e.Source)
}

const (
	yolox  = "https://github.com/Megvii-BaseDetection/YOLOX"
	dfine  = "https://github.com/Peterande/D-FINE"
	rfdetr = "https://github.com/roboflow/rf-detr"
	rtdetr = "https://github.com/lyuwenyu/RT-DETR"
	hub    = "https://huggingface.co/onnx-community/"

	apache = "Apache-2.0"
)

// Catalogue lists the detectors that can be pulled by name, the smallest first.
// Each address names one revision, so that the file behind it does not change, and
// the checksum is that of the file.
func Catalogue() []Entry {
	return []Entry{
		{
			Name: "yolox-nano", Title: "YOLOX-Nano", URL: yolox + "/releases/download/0.1.1rc0/yolox_nano.onnx",
			SHA256: "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d", Bytes: 3_659_407,
			Licence: apache, Source: yolox, AP: 25.8, Width: 416, Height: 416, Contract: map[string]string{"labels": "coco"},
		},
		{
			Name: "dfine-nano", Title: "D-FINE-N", URL: hub + "dfine_n_coco-ONNX/resolve/380d2839c327efaf65dd0fe0c2c10ab7fadd5473/onnx/model.onnx",
			SHA256: "0f684f409618ee8a822410e754a29caa817d1aa16283ce89cad936d0a48e2f35", Bytes: 15_258_358,
			Licence: apache, Source: dfine, AP: 42.8, Width: 640, Height: 640, Contract: queries("640", "0", "1"),
		},
		{
			Name: "yolox-tiny", Title: "YOLOX-Tiny", URL: yolox + "/releases/download/0.1.1rc0/yolox_tiny.onnx",
			SHA256: "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7", Bytes: 20_219_662,
			Licence: apache, Source: yolox, AP: 32.8, Width: 416, Height: 416, Contract: map[string]string{"labels": "coco"},
		},
		{
			Name: "yolox-s", Title: "YOLOX-S", URL: yolox + "/releases/download/0.1.1rc0/yolox_s.onnx",
			SHA256: "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063", Bytes: 35_858_002,
			Licence: apache, Source: yolox, AP: 40.5, Width: 640, Height: 640, Contract: map[string]string{"labels": "coco"},
		},
		{
			Name: "dfine-small", Title: "D-FINE-S", URL: hub + "dfine_s_coco-ONNX/resolve/a3cf03147a9b86c78475139115c8ac142577352d/onnx/model.onnx",
			SHA256: "cd8a49a945feda6d28c6304ae8ae85c2759ba1d78a5a83a22c5ce8db82ef7238", Bytes: 41_535_197,
			Licence: apache, Source: dfine, AP: 48.5, Width: 640, Height: 640, Contract: queries("640", "0", "1"),
		},
		{
			Name: "rtdetrv2-r18", Title: "RT-DETRv2-R18", URL: hub + "rtdetr_v2_r18vd-ONNX/resolve/936f90b6a476c6da4dfe053fc521af55285976ba/onnx/model.onnx",
			SHA256: "583a236ac21c95a7fd94f284fc21485e42355bfef82c27011ba78fbc09ee87e2", Bytes: 81_057_510,
			Licence: apache, Source: rtdetr, AP: 48.1, Width: 640, Height: 640, Contract: queries("640", "0", "1"),
		},
		{
			Name: "rfdetr-nano", Title: "RF-DETR nano", URL: hub + "rfdetr_nano-ONNX/resolve/eae21cee0687a91bcf9fa071605c48d7705d2d91/onnx/model.onnx",
			SHA256: "9cbac6b11ce34a03034e4d5a24cfac5f18632fd6761d1311dd640232088d7fee", Bytes: 108_074_865,
			Licence: apache, Source: rfdetr, AP: 48.4, Width: 384, Height: 384, Contract: queries("384", imageNetMean, imageNetStd),
		},
		{
			Name: "rfdetr-small", Title: "RF-DETR small", URL: hub + "rfdetr_small-ONNX/resolve/63463b68b200177d1fea7015f11f3cebb0ba4eeb/onnx/model.onnx",
			SHA256: "121cc1476a7b69d865ca4bdc2bca59a3239020d227e4c3f35a811bef81aeb7f1", Bytes: 114_680_416,
			Licence: apache, Source: rfdetr, AP: 53.0, Width: 512, Height: 512, Contract: queries("512", imageNetMean, imageNetStd),
		},
	}
}

// Red, green and blue of ImageNet, levels from 0 to 1.
const (
	imageNetMean = "0.485,0.456,0.406"
	imageNetStd  = "0.229,0.224,0.225"
)

// queries is the contract of raw heads of boxes and logits whose file leaves the
// size open and says nothing of the levels.
func queries(side, mean, std string) map[string]string {
	return map[string]string{
		"input.width": side, "input.height": side, "input.mean": mean, "input.std": std,
		"activation": "sigmoid", "labels": "coco",
	}
}

// Find returns the entry of a name.
func Find(name string) (Entry, bool) {
	for _, e := range Catalogue() {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}
