module sepiola

go 1.26.8
