import Foundation
import Trestle
import TrestleCommand
